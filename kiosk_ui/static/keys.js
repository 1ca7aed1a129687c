/* Arrow keys move from link to link, as a TV's remote control does; in the frames of exercises, too. The pages
   work without it.
   ES5, no libraries. Enter (OK) is the browser's own; Back is the browser's own. */
(function () {
  'use strict';

  var FOCUSABLE = 'a[href], button, summary, input, select, textarea, video, audio, iframe[data-lesson], [tabindex="0"]';
  var ARROWS = { ArrowLeft: 'left', ArrowUp: 'up', ArrowRight: 'right', ArrowDown: 'down',
    Left: 'left', Up: 'up', Right: 'right', Down: 'down' };
  var CODES = { 37: 'left', 38: 'up', 39: 'right', 40: 'down' };

  /* The list of choices that OK has taken in hand: the arrows go through it until OK is pressed again. Else they
     would change it on their way past, or not come past at all. */
  var held = null;

  function hold(select) {
    if (held) { held.className = held.className.replace(/ ?\bheld\b/, ''); }
    held = select;
    if (held) { held.className += ' held'; }
  }

  document.addEventListener('blur', function () { hold(null); }, true);

  /* Does this element need the key itself: the caret in a field, the seconds of a film? */
  function keepsKey(element, way) {
    var name = element.tagName.toLowerCase();
    var type = (element.type || '').toLowerCase();
    var sideways = way === 'left' || way === 'right';
    if (name === 'textarea') { return true; }
    if (type === 'range') { return sideways; }
    if (name === 'select') { return element === held; }
    if (name === 'video' || name === 'audio') { return sideways; }
    if (/\bwords\b/.test(element.className)) { return !sideways && scrolls(element, way); }
    if (name !== 'input' || !/^(text|search|email|number|password|tel|url)$/.test(type)) { return false; }
    if (!sideways || type === 'number') { return type === 'number'; }
    if (element.value === '') { return false; }
    try {
      if (element.selectionStart !== element.selectionEnd) { return true; }
      return way === 'left' ? element.selectionStart > 0 : element.selectionEnd < element.value.length;
    } catch (error) {
      return true;
    }
  }

  function scrolls(element, way) {
    return way === 'up' ? element.scrollTop > 0
      : element.scrollTop + element.clientHeight < element.scrollHeight - 1;
  }

  function reachable(element) {
    if (element.disabled || element.type === 'hidden' || element.getAttribute('tabindex') === '-1') { return false; }
    var box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) { return false; }
    if (box.right + window.pageXOffset < 0) { return false; } /* parked off the page: the skip link */
    for (var fold = element.parentNode; fold && fold !== document; fold = fold.parentNode) { /* in a closed fold it has a place, but takes no focus */
      if (fold.tagName === 'DETAILS' && !fold.hasAttribute('open') && element.tagName !== 'SUMMARY') { return false; }
    }
    return window.getComputedStyle(element).visibility !== 'hidden';
  }

  /* How far `to` is when going `way` from `from`; Infinity where it does not lie that way.
     Along the way counts once, aside of it three times; overlapping rows and columns count as straight on. */
  function distance(from, to, way) {
    var along, aside;
    if (way === 'left' || way === 'right') {
      along = way === 'right' ? to.left - from.right : from.left - to.right;
      if (way === 'right' ? to.left + to.right <= from.left + from.right : to.left + to.right >= from.left + from.right) { return Infinity; }
      aside = Math.max(0, to.top - from.bottom, from.top - to.bottom);
      if (aside > 0 && along < 0) { return Infinity; }
      aside += Math.abs((to.top + to.bottom) - (from.top + from.bottom)) / 20;
    } else {
      along = way === 'down' ? to.top - from.bottom : from.top - to.bottom;
      if (way === 'down' ? to.top + to.bottom <= from.top + from.bottom : to.top + to.bottom >= from.top + from.bottom) { return Infinity; }
      aside = Math.max(0, to.left - from.right, from.left - to.right);
      if (along < -Math.min(from.bottom - from.top, to.bottom - to.top) / 2) { return Infinity; }
      aside += Math.abs(to.left - from.left) / 20;
    }
    return Math.max(0, along) + 3 * aside;
  }

  function next(way) {
    var here = document.activeElement;
    var all = document.querySelectorAll(FOCUSABLE);
    var from = here && here !== document.body && here.id !== 'main' ? here.getBoundingClientRect()
      : { left: 0, right: 0, top: way === 'up' ? window.innerHeight : -1, bottom: way === 'up' ? window.innerHeight + 1 : 0 };
    var best = null;
    var least = Infinity;
    for (var i = 0; i < all.length; i += 1) {
      if (all[i] !== here && reachable(all[i])) {
        var far = distance(from, all[i].getBoundingClientRect(), way);
        if (far < least) { least = far; best = all[i]; }
      }
    }
    return best;
  }

  function show(element) {
    var box = element.getBoundingClientRect();
    var room = window.innerHeight * 0.12;
    if (box.top < room) { window.scrollBy(0, box.top - room); }
    else if (box.bottom > window.innerHeight - room) {
      window.scrollBy(0, Math.min(box.top - room, box.bottom - window.innerHeight + room));
    }
  }

  /* Go that way; was there anything? */
  function move(way) {
    var found = next(way);
    if (!found) { return false; }
    found.focus();
    show(found);
    return true;
  }

  /* Where its caret cannot go any further that way, an arrow leaves a field of many lines. */
  function leave(field, way) {
    var caret = [field.selectionStart, field.selectionEnd].join();
    window.setTimeout(function () {
      if (document.activeElement === field && caret === [field.selectionStart, field.selectionEnd].join()) { move(way); }
    }, 0);
  }

  function play(film) {
    var playing = film.play();
    if (playing && playing.catch) { playing.catch(function () { /* the browser refuses: its own bar says so */ }); }
  }

  /* OK on a film plays or halts it: its bar is made for a pointer. It takes choices in hand, and on what is ticked it ticks: a remote has no space bar. */
  window.addEventListener('keydown', function (event) {
    var here = document.activeElement;
    var ok = event.key === 'Enter' || event.keyCode === 13;
    if (!ok || event.defaultPrevented || !here) { return; }
    if (/^(checkbox|radio)$/.test(here.type)) {
      event.preventDefault();
      here.click();
    } else if (here.tagName === 'SELECT') {
      event.preventDefault();
      hold(here === held ? null : here);
    } else if (/^(video|audio)$/i.test(here.tagName)) {
      event.preventDefault();
      if (here.paused) { play(here); } else { here.pause(); }
    }
  });

  var film = document.querySelector('video');
  var button = document.querySelector('[data-full]');
  var fill = film && (film.requestFullscreen || film.webkitRequestFullscreen || film.webkitEnterFullscreen);
  if (button && fill) {
    button.hidden = false;
    button.addEventListener('click', function () {
      fill.call(film);
      film.focus();
      play(film);
    });
  }

  /* On the window, so that a lesson that uses the arrows itself is asked first. */
  window.addEventListener('keydown', function (event) {
    var way = ARROWS[event.key] || (event.key ? undefined : CODES[event.keyCode]);
    if (!way || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    var here = document.activeElement;
    if (here && here.tagName === 'TEXTAREA') { leave(here, way); }
    if (here && here !== document.body && keepsKey(here, way)) { return; }
    if (move(way)) {
      event.preventDefault();
    } else if (window.top !== window) {
      window.top.postMessage({ teachpoint: { kind: 'arrow', way: way } }, '*'); /* nothing more lies there in this frame */
    }
  });

  /* The arrows lead out of an exercise's frame as they led into it. */
  window.addEventListener('message', function (event) {
    var told = event.data && event.data.teachpoint;
    var here = document.activeElement;
    var from = event.source;
    if (!told || told.kind !== 'arrow' || !here || here.tagName !== 'IFRAME' || !/^(left|up|right|down)$/.test(told.way)) { return; }
    for (var depth = 0; from && from !== here.contentWindow && depth < 5; depth += 1) { from = from.parent; }
    if (from === here.contentWindow) { move(told.way); }
  });
}());
