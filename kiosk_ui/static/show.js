/* "Show on the screen" in one touch, where this device may drive just one screen that is on. Else, and
   without scripts, the link leads to the page with all of them. ES5, no libraries. */
(function () {
  'use strict';
  function ask(method, address, body, done) {
    var request = new XMLHttpRequest();
    request.open(method, address);
    request.timeout = 8000;
    if (body) { request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded'); }
    request.onload = function () { done(request.status, request.responseText); };
    request.onerror = request.ontimeout = function () { done(0, ''); };
    request.send(body);
  }

  function leave(link) { window.location = link.href; }

  [].forEach.call(document.querySelectorAll('[data-show-on-screen]'), function (link) { link.addEventListener('click', function (event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0) { return; }
    event.preventDefault();
    ask('GET', '/remote/screens', null, function (status, text) {
      if (status !== 200) { leave(link); return; }
      var told = JSON.parse(text);
      var on = told.screens.filter(function (screen) { return screen.here; });
      if (on.length !== 1) { leave(link); return; }
      ask('POST', '/remote/' + on[0].id, 'script=1&action=show&token=' + told.token + '&show=' + encodeURIComponent(link.getAttribute('data-show-on-screen')), function (done) {
        if (done === 204) { window.location = '/remote/' + on[0].id; } else { leave(link); }
      });
    });
  }); });
}());
