/* The API that a page of a SCORM course looks for, on the content origin. edge/players.py puts this at the beginning
   of each page of a course, after scorm-again. The page is in a sandbox: no window above can be looked into,
   so the API is on its own window and on what it takes for its parent. What the page said before comes by
   window.name, as that is there before any script; what it says goes to the lesson's page by messages, which
   believes nothing of it. Frames in a page of a course have an origin each, too: what one calls of the page
   around it is called there, but it learns no answer. ES5, and Proxy where there is one. */
(function () {
  'use strict';
  var MOST_ANSWERS = 100;
  var version = document.currentScript.getAttribute('data-version');
  var above = window.parent, page = window.top;
  var given = {};
  try { given = JSON.parse(window.name).teachpoint || {}; } catch (nothing) { given = {}; }
  var settings = {autocommit: false, lmsCommitUrl: false, logLevel: 5};
  var found = {};

  function tell(message) {
    if (page !== window) { page.postMessage({teachpoint: message}, '*'); }
  }

  function keep(state) {
    try { window.name = JSON.stringify({teachpoint: {version: given.version, data: given.data,
      mastery: given.mastery, state: state}}); } catch (nothing) { /* then the next page of it begins anew */ }
    tell({kind: 'state', state: state});
  }

  function number(text) {
    var value = parseFloat(text);
    return isFinite(value) ? value : undefined;
  }

  function seconds(time) {
    var parts = /^(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(time || '');
    if (parts) { return 'PT' + Math.round(parts[1] * 3600 + parts[2] * 60 + +parts[3]) + 'S'; }
    return /^P/.test(time || '') ? time : undefined;
  }

  function score(of, scaled) {
    var told = {raw: number(of.raw), min: number(of.min), max: number(of.max), scaled: number(scaled)};
    return told.raw === undefined && told.scaled === undefined ? undefined : told;
  }

  /* What each version calls its things; `said` is all that it holds, as plain values. */
  var TWELVE = {
    library: 'Scorm12API', name: 'API', begin: 'LMSInitialize', set: 'LMSSetValue', commit: 'LMSCommit', end: 'LMSFinish',
    restore: function (state) {
      return {'cmi.core.lesson_location': state.location, 'cmi.suspend_data': state.data,
        'cmi.core.lesson_status': state.status, 'cmi.core.total_time': state.time,
        'cmi.core.score.raw': state.raw, 'cmi.core.entry': state.again ? 'resume' : 'ab-initio',
        'cmi.core.credit': 'credit', 'cmi.launch_data': given.data, 'cmi.student_data.mastery_score': given.mastery};
    },
    state: function (said, time) {
      return {location: said.core.lesson_location, data: said.suspend_data, status: said.core.lesson_status,
        raw: said.core.score.raw, time: time, again: true};
    },
    result: function (said, ended) {
      var status = said.core.lesson_status, told = score(said.core.score);
      if (ended && (!status || status === 'not attempted')) { status = 'completed'; }
      var passed = status === 'passed' ? true : status === 'failed' ? false : undefined;
      return {verb: /^(passed|failed|completed)$/.test(status) ? status : ended && told ? 'scored' : '',
        score: told, success: passed, completion: status === 'completed' || passed || undefined,
        duration: seconds(said.core.session_time)};
    },
    response: 'student_response'
  };
  var LATER = {
    library: 'Scorm2004API', name: 'API_1484_11', begin: 'Initialize', set: 'SetValue', commit: 'Commit', end: 'Terminate',
    restore: function (state) {
      return {'cmi.location': state.location, 'cmi.suspend_data': state.data, 'cmi.completion_status': state.status,
        'cmi.success_status': state.success, 'cmi.total_time': state.time, 'cmi.score.scaled': state.scaled,
        'cmi.score.raw': state.raw, 'cmi.entry': state.again ? 'resume' : 'ab-initio', 'cmi.launch_data': given.data};
    },
    state: function (said, time) {
      return {location: said.location, data: said.suspend_data, status: said.completion_status,
        success: said.success_status, scaled: said.score.scaled, raw: said.score.raw, time: time, again: true};
    },
    result: function (said, ended) {
      var told = score(said.score, said.score.scaled), success = said.success_status;
      var done = said.completion_status === 'completed';
      return {verb: success === 'passed' || success === 'failed' ? success : done ? 'completed'
        : ended && told ? 'scored' : '',
        score: told, success: success === 'passed' ? true : success === 'failed' ? false : undefined,
        completion: done || undefined, duration: seconds(said.session_time)};
    },
    response: 'learner_response'
  };

  function offer(kind) {
    var api = new window[kind.library](settings);
    var told = '', answered = {}, answers = 0, waiting = null, open = false;
    var restored = kind.restore(given.state || {}), values = {};
    Object.keys(restored).forEach(function (name) { if (restored[name]) { values[name] = String(restored[name]); } });
    try { api.loadFromFlattenedJSON(values); } catch (nothing) { /* kept by another version of it: begin anew */ }

    function save(ended) {
      clearTimeout(waiting);
      waiting = null;
      var said = JSON.parse(JSON.stringify(api.cmi));
      keep(kind.state(said, api.cmi.getCurrentTotalTime()));
      Object.keys(said.interactions || {}).forEach(function (place) {
        var one = said.interactions[place];
        if (!one.id || !one.result || answered[place] === one.result || answers >= MOST_ANSWERS) { return; }
        answered[place] = one.result;
        answers += 1;
        tell({kind: 'result', result: {verb: 'answered', part: one.id, response: one[kind.response],
          success: one.result === 'correct' ? true : /^(wrong|incorrect)$/.test(one.result) ? false : undefined}});
      });
      var result = kind.result(said, ended);
      var mark = JSON.stringify([result.verb, result.score]);
      if (result.verb && mark !== told) {
        told = mark;
        tell({kind: 'result', result: result});
      }
    }

    function wrap(name, before, after) {
      var call = api[name];
      api[name] = function () {
        if (before) { before(); }
        var answer = call.apply(api, arguments);
        if (after) { after(answer); }
        return answer;
      };
    }

    wrap(kind.begin, null, function (answer) { open = String(answer) === 'true'; });
    wrap(kind.set, null, function () { if (open && !waiting) { waiting = setTimeout(save, 1000); } });
    wrap(kind.commit, null, function () { if (open) { save(false); } });
    wrap(kind.end, function () { if (open) { save(true); } open = false; });
    window.addEventListener('unload', function () { if (open) { save(false); } });
    found[kind.name] = window[kind.name] = api;
  }

  if (version !== '2004') { offer(TWELVE); }
  if (version !== '1.2') { offer(LATER); }

  /* What a frame takes for the page around it: the API, and whatever else it calls by name. */
  function around() {
    return new window.Proxy({}, {get: function (nothing, name) {
      if (found[name]) { return found[name]; }
      if (name === 'parent' || name === 'top' || name === 'window' || name === 'self') { return window.parent; }
      if (name === 'postMessage') { return function (message, to) { above.postMessage(message, to); }; }
      if (typeof name !== 'string' || /^(API|then$|document$|location$|opener$|frames$|length$|closed$|name$)/.test(name)) { return undefined; }
      return function () {
        above.postMessage({teachpoint: {kind: 'call', name: name, values: Array.prototype.filter.call(arguments, function (one) {
          return one === null || typeof one !== 'object' && typeof one !== 'function';
        })}}, '*');
      };
    }});
  }

  /* The lesson's page is about to be left. Once this window has gone, nothing that it said is heard; so what the page
     does when it goes is done now. */
  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    if (!told || told.kind !== 'leave' || event.source !== page) { return; }
    ['beforeunload', 'pagehide', 'unload'].forEach(function (name) {
      try { window.dispatchEvent(new window.Event(name)); } catch (error) { /* its own fault */ }
    });
    tell({kind: 'left'});
  });

  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    if (!told || told.kind !== 'call' || !event.source || event.source === window || event.source.parent !== window) { return; }
    if (typeof window[told.name] === 'function') { window[told.name].apply(window, told.values); }
  });

  if (page !== window && (above === page || window.Proxy)) {
    found.parent = found;
    Object.defineProperty(window, 'parent', {value: above === page ? found : around(), configurable: true, writable: true});
  }
}());
