"""H5P and SCORM packages, made by the tests: small, whole, with calls as real ones make them."""

from __future__ import annotations

import io
import json
import zipfile

#: A page of a SCORM 1.2 course, as a popular wrapper looks for the API: from its own window upwards.
SCO_12 = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title></head><body>
<h1>{title}</h1><p id="said"></p><button id="right">选对的</button><button id="go-on">记住位置</button>
<script>
function find(win) {{
  var tries = 0;
  while (!win.API && win.parent && win.parent !== win && tries++ < 7) {{ win = win.parent; }}
  return win.API || null;
}}
var api = find(window), said = document.getElementById('said');
if (!api) {{ said.textContent = 'no API'; }} else {{
  api.LMSInitialize('');
  said.textContent = [api.LMSGetValue('cmi.core.lesson_status'), api.LMSGetValue('cmi.core.lesson_location'),
    api.LMSGetValue('cmi.suspend_data'), api.LMSGetValue('cmi.launch_data'),
    api.LMSGetValue('cmi.student_data.mastery_score')].join('|');
  document.getElementById('go-on').onclick = function () {{
    api.LMSSetValue('cmi.core.lesson_location', 'page-3');
    api.LMSSetValue('cmi.suspend_data', '第三页');
    api.LMSSetValue('cmi.core.lesson_status', 'incomplete');
    said.textContent = 'kept ' + api.LMSCommit('');
  }};
  document.getElementById('right').onclick = function () {{
    api.LMSSetValue('cmi.interactions.0.id', 'q1');
    api.LMSSetValue('cmi.interactions.0.type', 'choice');
    api.LMSSetValue('cmi.interactions.0.student_response', 'b');
    api.LMSSetValue('cmi.interactions.0.result', 'correct');
    api.LMSSetValue('cmi.core.score.min', '0');
    api.LMSSetValue('cmi.core.score.max', '20');
    api.LMSSetValue('cmi.core.score.raw', '17');
    api.LMSSetValue('cmi.core.lesson_status', 'passed');
    api.LMSSetValue('cmi.core.session_time', '00:01:30');
    said.textContent = 'finished ' + api.LMSFinish('');
  }};
}}
</script></body></html>"""

#: A page of a SCORM 2004 course: the algorithm that ADL publishes, which begins at the parent.
SCO_2004 = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p id="said"></p><button id="right">选对的</button>
<script>
var tries = 0;
function scan(win) {{
  while (win.API_1484_11 == null && win.parent != null && win.parent != win) {{
    if (++tries > 500) {{ return null; }}
    win = win.parent;
  }}
  return win.API_1484_11;
}}
function get(win) {{
  var found = null;
  if (win.parent != null && win.parent != win) {{ found = scan(win.parent); }}
  if (found == null && win.opener != null) {{ found = scan(win.opener); }}
  return found;
}}
var api = get(window), said = document.getElementById('said');
if (api == null) {{ said.textContent = 'no API'; }} else {{
  api.Initialize('');
  said.textContent = [api.GetValue('cmi.completion_status'), api.GetValue('cmi.location'),
    location.search].join('|');
  document.getElementById('right').onclick = function () {{
    api.SetValue('cmi.location', '第二节');
    api.SetValue('cmi.score.scaled', '0.75');
    api.SetValue('cmi.success_status', 'passed');
    api.SetValue('cmi.completion_status', 'completed');
    api.SetValue('cmi.session_time', 'PT2M');
    api.SetValue('cmi.exit', 'suspend');
    said.textContent = 'finished ' + api.Terminate('');
  }};
}}
</script></body></html>"""

#: A course of an older kind: a page with the calls, and in it a frame with the questions.
OUTER_12 = """<html><head><title>框架测验</title></head><body><iframe id="f" src="quiz.html"></iframe>
<script>
var api = window.API;
api.LMSInitialize('');
function RecordTest(score) {
  api.LMSSetValue('cmi.core.score.raw', String(score));
  api.LMSSetValue('cmi.core.lesson_status', score > 50 ? 'passed' : 'failed');
}
window.onunload = function () { api.LMSFinish(''); };
</script></body></html>"""
INNER_12 = """<html><body><button id="right">选对的</button><script>
document.getElementById('right').onclick = function () {
  if (parent.RecordTest) { parent.RecordTest(90); this.textContent = '好'; }
};
</script></body></html>"""

MANIFEST_12 = """<?xml version="1.0" encoding="{encoding}"?>
<manifest identifier="m" version="1" xmlns="http://www.imsproject.org/xsd/imscp_rootv1p1p2"
  xmlns:adlcp="http://www.adlnet.org/xsd/adlcp_rootv1p2">
  <metadata><schema>ADL SCORM</schema><schemaversion>1.2</schemaversion></metadata>
  <organizations default="o"><organization identifier="o"><title>识字测验</title>
    <item identifier="i1" identifierref="r1"><title>第一题</title>
      <adlcp:masteryscore>80</adlcp:masteryscore><adlcp:datafromlms>开始</adlcp:datafromlms></item>
  </organization></organizations>
  <resources><resource identifier="r1" type="webcontent" adlcp:scormtype="sco" href="pages/one.html">
    <file href="pages/one.html"/></resource></resources>
</manifest>"""

MANIFEST_2004 = """<?xml version="1.0" encoding="UTF-8"?>
<manifest identifier="m" version="1" xmlns="http://www.imsglobal.org/xsd/imscp_v1p1"
  xmlns:adlcp="http://www.adlnet.org/xsd/adlcp_v1p3">
  <metadata><schema>ADL SCORM</schema><schemaversion>2004 4th Edition</schemaversion></metadata>
  <organizations default="o"><organization identifier="o"><title>分数的故事</title>
    <item identifier="chapter"><title>第一章</title>
      <item identifier="a" identifierref="ra"><title>认识分数</title></item>
      <item identifier="b" identifierref="rb" parameters="?level=2"><title>比较分数</title></item>
    </item>
  </organization></organizations>
  <resources>
    <resource identifier="ra" type="webcontent" adlcp:scormType="sco" href="a.html"/>
    <resource identifier="rb" type="webcontent" adlcp:scormType="sco" href="b.html"/>
  </resources>
</manifest>"""

#: An H5P library of our own: one question, by the same calls as the libraries of h5p.org.
_H5P_LIBRARY = """var H5P = H5P || {};
H5P.TestQuestion = (function ($) {
  function TestQuestion(params, id, extras) {
    H5P.EventDispatcher.call(this);
    this.contentId = id;
    this.params = params;
    this.said = extras && extras.previousState ? extras.previousState.said : null;
  }
  TestQuestion.prototype = Object.create(H5P.EventDispatcher.prototype);
  TestQuestion.prototype.constructor = TestQuestion;
  TestQuestion.prototype.getTitle = function () { return this.params.question; };
  TestQuestion.prototype.getCurrentState = function () {
    return this.said === null ? undefined : {said: this.said};
  };
  TestQuestion.prototype.attach = function ($container) {
    var self = this;
    function say(right) { $container.append($('<p class="said">').text(right ? '对' : '再想想')); }
    $container.append($('<h2>').text(self.params.question));
    $.each(self.params.answers, function (number, answer) {
      $('<button type="button">').text(answer).on('click', function () {
        var right = number === self.params.right;
        var event = self.createXAPIEventTemplate('answered');
        event.data.statement.result = {response: String(number)};
        event.setScoredResult(right ? 1 : 0, 1, self, true, right);
        self.trigger(event);
        self.said = right;
        say(right);
      }).appendTo($container);
    });
    if (self.said !== null) { say(self.said); }
  };
  return TestQuestion;
})(H5P.jQuery);
"""


def scorm_12(encoding: str = "UTF-8") -> dict[str, bytes]:
    """A SCORM 1.2 package of one page: path → bytes."""
    python = {"UTF-8": "utf-8", "gb2312": "gb18030"}[encoding]
    return {"imsmanifest.xml": MANIFEST_12.format(encoding=encoding).encode(python),
            "pages/one.html": SCO_12.format(title="识字测验").encode()}


def scorm_12_in_frames() -> dict[str, bytes]:
    """A SCORM 1.2 package whose page asks its questions in a frame, and tells all when it is left."""
    return {"imsmanifest.xml": MANIFEST_12.format(encoding="UTF-8").encode(),
            "pages/one.html": OUTER_12.encode(), "pages/quiz.html": INNER_12.encode()}


def scorm_2004() -> dict[str, bytes]:
    """A SCORM 2004 package of two pages below a heading."""
    return {"imsmanifest.xml": MANIFEST_2004.encode(), "a.html": SCO_2004.format(title="认识分数").encode(),
            "b.html": SCO_2004.format(title="比较分数").encode()}


def h5p(right: int = 1) -> dict[str, bytes]:
    """An H5P package of one question, with its library."""
    library = {"machineName": "H5P.TestQuestion", "majorVersion": 1, "minorVersion": 0}
    return {name: json.dumps(value, ensure_ascii=False).encode() for name, value in {
        "h5p.json": {"title": "选一选", "language": "zh", "mainLibrary": "H5P.TestQuestion",
                     "embedTypes": ["iframe"], "license": "U", "preloadedDependencies": [library]},
        "content/content.json": {"question": "“绒”怎么读？", "answers": ["rōng", "róng"], "right": right},
        "H5P.TestQuestion-1.0/library.json": {
            **library, "title": "Test Question", "patchVersion": 0, "runnable": 1,
            "preloadedJs": [{"path": "question.js"}]},
    }.items()} | {"H5P.TestQuestion-1.0/question.js": _H5P_LIBRARY.encode()}


def packed(files: dict[str, bytes], below: str = "") -> bytes:
    """The files as a zip archive, perhaps below a folder."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, data in files.items():  # without the time: the same files are the same bytes
            archive.writestr(zipfile.ZipInfo(below + name), data, zipfile.ZIP_DEFLATED)
    return into.getvalue()
