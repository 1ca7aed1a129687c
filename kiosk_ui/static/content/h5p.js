/* Plays an H5P package on the content origin, by h5p-standalone, and tells the lesson's page what was answered. The
   page is in a sandbox, so the content is put into it and not into a frame below, which it could not reach. ES5. */
(function () {
  'use strict';
  var place = document.getElementById('h5p'), page = window.top;
  /* Seconds between two looks at how far one is; also when something is completed, and when the page is left. */
  var SAVE_EVERY_S = 5;
  var given = {};
  try { given = JSON.parse(window.name).teachpoint || {}; } catch (nothing) { given = {}; }
  var before = given.state && typeof given.state.h5p === 'string' ? [{state: given.state.h5p}] : undefined;

  function tell(message) {
    if (page !== window) { page.postMessage({teachpoint: message}, '*'); }
  }

  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    if (!told || told.kind !== 'leave' || event.source !== page) { return; }
    (window.H5P && window.H5P.instances || []).forEach(function (one) {
      if (typeof one.getCurrentState === 'function') { keep(one.getCurrentState()); }
    });
    tell({kind: 'left'});
  });

  /* What a content says of where one is; it gets it back the next time. */
  function keep(state) {
    if (state !== undefined && state !== null) { tell({kind: 'state', state: {h5p: JSON.stringify(state)}}); }
  }

  function failed(reason) { tell({kind: 'failed', reason: String(reason).slice(0, 200)}); }

  // Its core looks into the window above to fit a frame of its own; there is none here.
  Object.defineProperty(window, 'parent', {value: window, configurable: true, writable: true});

  function short(text) { return typeof text === 'string' ? text.slice(0, 500) : undefined; }

  function told(statement) {
    var verb = /\/([a-z]+)$/.exec((statement.verb || {}).id || ''), result = statement.result || {};
    var object = statement.object || {}, about = object.definition || {}, names = about.name || {};
    var parents = ((statement.context || {}).contextActivities || {}).parent;
    if (!verb) { return; }
    tell({kind: 'result', result: {verb: verb[1], part: parents && parents.length ? short(object.id) : undefined,
      name: short(names[Object.keys(names)[0]]), response: short(result.response), success: result.success,
      completion: result.completion, duration: result.duration, score: result.score}});
  }

  try {
    new window.H5PStandalone.H5P(place, {
      h5pJsonPath: place.getAttribute('data-path'), frameJs: '/play/h5p/frame.bundle.js',
      frameCss: '/play/h5p/styles/h5p.css', embedType: 'div', frame: false, icon: false,
      saveFreq: SAVE_EVERY_S, contentUserData: before
    }).then(function () {
      /* The core would send it to a site that people sign in to. */
      window.H5P.setUserData = function (id, name, state) { if (name === 'state') { keep(state); } };
      window.H5P.externalDispatcher.on('xAPI', function (event) {
        if (event.data && event.data.statement) { told(event.data.statement); }
      });
      tell({kind: 'ready'});
    }, failed);
  } catch (error) { failed(error); }
}());
