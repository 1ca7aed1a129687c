/* H5P and SCORM: starts the foreign page in its sandbox, keeps where one was on this device, and passes on what was
   answered. Nothing that comes from there is believed: it is cut to what the box takes, and the box judges it. A
   result that the box could not take waits on this device and goes with the next ones. ES5, no libraries. */
(function () {
  'use strict';

  var frame = document.querySelector('[data-lesson]');
  if (!frame) { return; }
  var full = document.querySelector('[data-lesson-full]');
  var again = document.querySelector('[data-lesson-again]');
  var pupil = document.querySelector('[data-lesson-pupil]');
  var key = frame.getAttribute('data-lesson-key');

  var KEPT = 'teachpoint-lessons', WAITING = 'teachpoint-results', DEVICE = 'teachpoint-device', PUPIL = 'teachpoint-pupil';
  /* Places kept on this device, the oldest goes first; the longest that is kept, in characters (SCORM 2004 allows 64,000). */
  var MOST_PLACES = 30, MOST_STATE = 80000;
  /* Results that wait, at most; sent at once; and how long to wait after a failure, in milliseconds. */
  var MOST_WAITING = 200, AT_ONCE = 10, AGAIN_MS = 15000;
  var VERBS = ['answered', 'completed', 'passed', 'failed', 'scored'];

  /* -- what is kept on this device. A browser may forbid it: then all begins anew each time. */
  function read(name, otherwise) {
    try { return JSON.parse(window.localStorage.getItem(name)) || otherwise; } catch (error) { return otherwise; }
  }

  function write(name, value) {
    try { window.localStorage.setItem(name, JSON.stringify(value)); return true; } catch (error) { return false; }
  }

  function places() {
    var kept = read(KEPT, []);
    return Array.isArray(kept) ? kept.filter(function (one) { return Array.isArray(one) && one.length === 2; }) : [];
  }

  function keep(state) {
    var others = places().filter(function (one) { return one[0] !== key; });
    if (state && JSON.stringify(state).length <= MOST_STATE) { others.push([key, state]); }
    while (!write(KEPT, others.slice(-MOST_PLACES)) && others.length > 1) { others.shift(); }
  }

  function random() {
    var bytes = new Uint8Array(16);
    window.crypto.getRandomValues(bytes);
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = Array.prototype.map.call(bytes, function (one) { return ('0' + one.toString(16)).slice(-2); }).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  var device = read(DEVICE, '');
  if (!/^[0-9a-f-]{36}$/.test(device)) { device = random(); write(DEVICE, device); }

  var done = false;  // has it said all, because this page is left?
  var anew = false;  // shall it begin anew? What it says while its page goes is of before.

  /* -- starting it: what it said last goes with its name, which is there before any script of it. */
  function begin() {
    var kept = places().filter(function (one) { return one[0] === key; })[0];
    var given = JSON.parse(frame.getAttribute('data-lesson-given'));
    if (kept) { given.state = kept[1]; }
    if (again) { again.hidden = !kept; }
    var place = frame.parentNode, after = frame.nextSibling;
    place.removeChild(frame);  /* a window has the name that its frame had when it came into the page */
    frame.name = JSON.stringify({teachpoint: given});
    frame.src = frame.getAttribute('data-lesson');
    place.insertBefore(frame, after);
  }

  /* Is this window the frame, or one in it? */
  function ours(from) {
    for (var depth = 0; from && depth < 5; depth += 1) {
      if (from === frame.contentWindow) { return true; }
      if (from.parent === from) { return false; }
      from = from.parent;
    }
    return false;
  }

  function show(name) {
    Array.prototype.forEach.call(document.querySelectorAll('[data-lesson-told]'), function (one) {
      one.hidden = one.getAttribute('data-lesson-told') !== name;
    });
  }

  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    if (event.origin !== 'null' || !told || typeof told !== 'object' || !ours(event.source)) { return; }
    if (told.kind === 'left') { done = true; }
    if (told.kind === 'state' && !anew && event.source === frame.contentWindow) { keep(told.state); }
    if (told.kind === 'failed') { document.querySelector('[data-lesson-failed]').hidden = false; }
    if (told.kind === 'result' && told.result && VERBS.indexOf(told.result.verb) >= 0) { note(told.result); }
  });

  /* -- results */
  function words(value, most) { return typeof value === 'string' && value ? value.slice(0, most) : undefined; }
  function yes(value) { return typeof value === 'boolean' ? value : undefined; }
  function number(value) { return typeof value === 'number' && isFinite(value) ? value : undefined; }

  function note(told) {
    var score = told.score || {}, waiting = read(WAITING, []);
    if (!Array.isArray(waiting)) { waiting = []; }
    waiting.push({
      id: random(), package: frame.getAttribute('data-lesson-package'),
      resource: frame.getAttribute('data-lesson-resource'), device: device,
      pupil: pupil ? words(pupil.elements.pupil.value.trim(), 40) : undefined, verb: told.verb,
      part: words(told.part, 200), name: words(told.name, 200), response: words(told.response, 500),
      success: yes(told.success), completion: yes(told.completion), duration: words(told.duration, 40),
      score: {raw: number(score.raw), min: number(score.min), max: number(score.max), scaled: number(score.scaled)}
    });
    write(WAITING, waiting.slice(-MOST_WAITING));
    send();
  }

  var sending = false, timer = null;
  function send() {
    var waiting = read(WAITING, []);
    if (sending || timer || !Array.isArray(waiting) || !waiting.length) { return; }
    sending = true;
    var part = waiting.slice(0, AT_ONCE), request = new XMLHttpRequest();
    request.open('POST', '/api/v1/results');
    request.timeout = 20000;
    request.setRequestHeader('Content-Type', 'application/json');
    request.onload = function () {
      /* Taken, or refused for what it is: either way it need not be sent again. Others: later. */
      if (request.status === 200 || request.status === 400 || request.status === 413) {
        var gone = part.map(function (one) { return one.id; });
        write(WAITING, read(WAITING, []).filter(function (one) { return gone.indexOf(one.id) < 0; }));
        sending = false;
        show(request.status === 200 ? 'kept' : 'refused');
        send();
      } else { later(request.status === 429 ? 'busy' : 'unreached'); }
    };
    request.onerror = request.ontimeout = function () { later('unreached'); };
    request.send(JSON.stringify({results: part}));
  }

  function later(why) {
    sending = false;
    show(why);
    timer = setTimeout(function () { timer = null; send(); }, AGAIN_MS);
  }

  /* Many courses tell of the end only when they are left, and a page that goes hears nothing any more: so it is told
     first, and what it says then is waited for, but not for long. */
  var LEAVE_MS = 1500, STEP_MS = 50;
  document.addEventListener('click', function (event) {
    var link = event.target.closest && event.target.closest('a[href]');
    if (!link || link.target || link.hasAttribute('download') || event.defaultPrevented || event.button > 0 ||
        event.ctrlKey || event.metaKey || event.shiftKey || link.getAttribute('href').charAt(0) === '#') { return; }
    event.preventDefault();
    var left = LEAVE_MS;
    frame.contentWindow.postMessage({teachpoint: {kind: 'leave'}}, '*');
    var waiting = setInterval(function () {
      left -= STEP_MS;
      if (left > 0 && (!done || sending)) { return; }
      clearInterval(waiting);
      window.location = link.href;
    }, STEP_MS);
  });

  if (pupil) {
    pupil.hidden = false;
    /* Only as long as this tab is open: the next child at this device is another one. */
    try { pupil.elements.pupil.value = (window.sessionStorage.getItem(PUPIL) || '').slice(0, 40); } catch (error) { /* typed each time */ }
    pupil.addEventListener('submit', function (event) { event.preventDefault(); frame.focus(); });
    pupil.elements.pupil.addEventListener('change', function () {
      try { window.sessionStorage.setItem(PUPIL, pupil.elements.pupil.value.trim()); } catch (error) { /* typed each time */ }
    });
  }
  var wide = frame.requestFullscreen || frame.webkitRequestFullscreen;
  if (full && wide) {
    full.hidden = false;
    full.addEventListener('click', function () { wide.call(frame); frame.focus(); });
  }
  if (again) {
    again.addEventListener('click', function () { anew = true; keep(null); window.location.reload(); });
  }
  begin();
  send();
}());
