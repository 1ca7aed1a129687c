/* Suggestions under the search field while one types. The form works without it.
   ES5, no libraries. What is listed comes from the box as links, whole; the arrows of a keyboard or a TV go
   through them, Escape goes back to the field. */
(function () {
  'use strict';

  /* So long after the last letter the box is asked, in milliseconds. */
  var PAUSE = 150;

  function prepare(form) {
    var field = form.querySelector('input[name="q"]');
    var list = document.createElement('div');
    var timer = null;
    var asking = null;
    var shown = '';

    list.className = 'suggestions';
    list.setAttribute('aria-live', 'polite');
    list.hidden = true;
    form.appendChild(list);

    function close() {
      window.clearTimeout(timer);
      if (asking) { asking.abort(); asking = null; }
      list.hidden = true;
      list.innerHTML = '';
      shown = '';
    }

    function ask() {
      var words = field.value.trim();
      var request;
      if (words === shown) { return; }
      if (!words) { close(); return; }
      if (asking) { asking.abort(); }
      request = asking = new XMLHttpRequest();
      request.open('GET', '/suggest?q=' + encodeURIComponent(words));
      request.onload = function () {
        if (request !== asking) { return; }
        asking = null;
        if (request.status !== 200 || !form.contains(document.activeElement)) { return; }
        shown = words;
        list.innerHTML = request.responseText;
        list.hidden = !list.querySelector('a');
      };
      request.send();
    }

    field.addEventListener('input', function (event) {
      window.clearTimeout(timer);
      if (!event.isComposing) { timer = window.setTimeout(ask, PAUSE); }
    });
    field.addEventListener('compositionend', function () {
      window.clearTimeout(timer);
      timer = window.setTimeout(ask, PAUSE);
    });
    form.addEventListener('submit', close);
    form.addEventListener('focusout', function () {
      window.setTimeout(function () { if (!form.contains(document.activeElement)) { close(); } }, 0);
    });

    /* A click on a link takes the focus away before it follows, in browsers that focus no links. */
    list.addEventListener('mousedown', function (event) { event.preventDefault(); });

    form.addEventListener('keydown', function (event) {
      var links, place, to;
      var code = event.keyCode;
      if (list.hidden || event.altKey || event.ctrlKey || event.metaKey) { return; }
      if (event.key === 'Escape' || code === 27) {
        close();
        field.focus();
        event.preventDefault();
        return;
      }
      if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp' && code !== 40 && code !== 38) { return; }
      links = Array.prototype.slice.call(list.querySelectorAll('a'));
      place = links.indexOf(document.activeElement);
      to = event.key === 'ArrowDown' || code === 40 ? links[place + 1] : place > 0 ? links[place - 1] : field;
      if (to) { to.focus(); }
      event.preventDefault();
    });
  }

  var forms = document.querySelectorAll('form.search');
  for (var i = 0; i < forms.length; i += 1) { prepare(forms[i]); }
}());
