/* Plays an H5P package on the content origin, by h5p-standalone, and tells the lesson's page what was answered. The
   page is in a sandbox, so the content is put into it and not into a frame below, which it could not reach. ES5. */
(function () {
  'use strict';
  var place = document.getElementById('h5p'), page = window.top;

  function tell(message) {
    if (page !== window) { page.postMessage({teachpoint: message}, '*'); }
  }

  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    if (told && told.kind === 'leave' && event.source === page) { tell({kind: 'left'}); }
  });

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
      frameCss: '/play/h5p/styles/h5p.css', embedType: 'div', frame: false, icon: false
    }).then(function () {
      window.H5P.externalDispatcher.on('xAPI', function (event) {
        if (event.data && event.data.statement) { told(event.data.statement); }
      });
      tell({kind: 'ready'});
    }, failed);
  } catch (error) { failed(error); }
}());
