/* A PDF inside the page, drawn by pdf.js one page at a time: turned by buttons, keys, a TV's arrows, a swipe;
   made larger and smaller; `#page=7` in the address is the page that is shown.
   ES5 but for what pdf.js itself needs. Without it the browser's own way stands in <noscript>, and is put
   back here where pdf.js does not run. Others (a remote) turn pages by the address. */
(function () {
  'use strict';

  var stage = document.querySelector('[data-paper]');
  if (!stage) { return; }
  var pdfjs = window.pdfjsLib || window['pdfjs-dist/build/pdf'];
  var view = stage.querySelector('[data-paper-view]');
  var bar = stage.querySelector('[data-paper-bar]');
  var field = stage.querySelector('[data-paper-page]');
  var waiting = stage.querySelector('[data-paper-wait]');
  var words = stage.querySelector('[data-paper-text]');
  var full = document.querySelector('[data-paper-full]');
  var address = stage.getAttribute('data-paper');

  /* Most pixels of what is drawn: a third of what old tablets take, so that two pages fit. */
  var MOST_PIXELS = 5000000;
  var LARGEST = 6;
  var STEP = 1.25;
  /* A finger that goes so far sideways turns the page, in CSS pixels. */
  var SWIPE = 60;

  var paper = null;
  var page = 1;
  var zoom = 1;
  var whole = false;
  var drawing = null;
  var turn = 0;

  function native() {
    var object = document.createElement('object');
    object.type = 'application/pdf';
    object.data = address + '#view=FitH';
    object.setAttribute('aria-label', view.getAttribute('aria-label'));
    stage.appendChild(object);
  }

  function fail(error) {
    var name = error && error.name;
    var kind = name === 'PasswordException' ? 'locked'
      : name === 'MissingPDFException' || name === 'UnexpectedResponseException' || name === 'UnknownErrorException' ? 'unreached' : 'broken';
    waiting.hidden = true;
    bar.hidden = true;
    view.hidden = true;
    stage.querySelector('[data-paper-failed="' + kind + '"]').hidden = false;
    if (full) { full.hidden = true; }
    stage.setAttribute('data-paper-state', kind);
  }

  function asked() {
    var found = /(?:^#|&)page=(\d{1,6})/.exec(window.location.hash);
    return found ? Number(found[1]) : 0;
  }

  function within(number) { return Math.min(Math.max(number, 1), paper.numPages); }

  /* The scale at which a page of this size fits: its width; the whole of it where it lies (slides) or is wished. */
  function fitting(size) {
    var wide = (view.clientWidth || stage.clientWidth) / size.width;
    var room = stage.className.indexOf(' full') >= 0 ? view.clientHeight : window.innerHeight * 0.82;
    var high = (room - 2) / size.height;
    return whole || size.width > size.height ? Math.min(wide, high) : wide;
  }

  function draw() {
    var mine = turn += 1;
    var number = page;
    paper.getPage(number).then(function (one) {
      if (mine !== turn) { return undefined; }
      var size = one.getViewport({ scale: 1 });
      var shown = one.getViewport({ scale: fitting(size) * zoom });
      var dense = Math.min(window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (shown.width * shown.height)));
      var canvas = document.createElement('canvas');
      canvas.width = Math.max(1, Math.floor(shown.width * dense));
      canvas.height = Math.max(1, Math.floor(shown.height * dense));
      canvas.style.width = Math.floor(shown.width) + 'px';
      canvas.style.height = Math.floor(shown.height) + 'px';
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', stage.getAttribute('data-page-words').replace('{page}', number).replace('{pages}', paper.numPages));
      if (drawing) { drawing.cancel(); }
      drawing = one.render({ canvasContext: canvas.getContext('2d'), viewport: shown, transform: [dense, 0, 0, dense, 0, 0] });
      return drawing.promise.then(function () {
        if (mine !== turn) { return undefined; }
        drawing = null;
        /* Where there is nothing to move sideways a sideways finger is ours, not the browser's way back. */
        view.style.touchAction = shown.width <= view.clientWidth + 1 ? 'pan-y' : 'pan-x pan-y';
        view.replaceChild(canvas, view.querySelector('canvas'));
        stage.setAttribute('data-paper-state', 'page-' + number);
        return one.getTextContent();
      }).then(function (text) {
        if (text && mine === turn) {
          words.textContent = text.items.map(function (item) { return item.str + (item.hasEOL ? '\n' : ''); }).join('');
        }
      });
    }).catch(function (error) {
      if (mine === turn && (!error || error.name !== 'RenderingCancelledException')) { fail(error); }
    });
  }

  function tell() {
    field.value = page;
    stage.querySelector('[data-paper-of]').textContent = '/ ' + paper.numPages;
    button('before').disabled = page <= 1;
    button('next').disabled = page >= paper.numPages;
    button('smaller').disabled = zoom <= 1;
    button('larger').disabled = zoom >= LARGEST;
    button('whole').setAttribute('aria-pressed', whole ? 'true' : 'false');
  }

  function button(name) { return bar.querySelector('[data-paper-do="' + name + '"]'); }

  /* Show page `number`; at its end where one comes from behind, reading backwards. */
  function go(number, atEnd) {
    number = within(number);
    if (number === page && stage.getAttribute('data-paper-state')) { tell(); return false; }
    page = number;
    var here = document.activeElement;
    tell();
    if (here && here.disabled) { view.focus(); } /* never lost with a button that has become useless */
    if (asked() !== page) { window.history.replaceState(null, '', '#page=' + page); }
    view.scrollTop = atEnd ? view.scrollHeight : 0;
    view.scrollLeft = 0;
    draw();
    return true;
  }

  function size(wish) {
    var before = zoom;
    zoom = Math.min(Math.max(wish, 1), LARGEST);
    if (Math.abs(zoom - 1) < 0.05) { zoom = 1; }
    if (zoom === before) { return; }
    tell();
    draw();
  }

  var acts = {
    before: function () { go(page - 1); },
    next: function () { go(page + 1); },
    smaller: function () { size(zoom / STEP); },
    larger: function () { size(zoom * STEP); },
    whole: function () { whole = !whole; zoom = 1; tell(); draw(); }
  };

  bar.addEventListener('click', function (event) {
    var one = event.target;
    while (one && one !== bar && !one.getAttribute('data-paper-do')) { one = one.parentNode; }
    if (one && one !== bar) { acts[one.getAttribute('data-paper-do')](); }
  });
  field.addEventListener('focus', function () { field.select(); });
  field.addEventListener('change', function () { go(Number(field.value) || page); });
  field.addEventListener('keydown', function (event) {
    if (event.key === 'Enter' || event.keyCode === 13) { go(Number(field.value) || page); }
  });

  /* -- keys: those of a keyboard and of a remote. An arrow that has nothing to do here moves on (keys.js). */
  function moved(way) {
    var step = Math.max(80, view.clientHeight * 0.8);
    var left = view.scrollLeft;
    var top = view.scrollTop;
    var alone = stage.className.indexOf(' full') >= 0;
    if (way === 'left' || way === 'right') {
      view.scrollLeft += (way === 'left' ? -1 : 1) * view.clientWidth * 0.6;
      return view.scrollLeft !== left || go(page + (way === 'left' ? -1 : 1)) || alone;
    }
    view.scrollTop += (way === 'up' ? -1 : 1) * step;
    if (view.scrollTop !== top) { return true; }
    if (!alone) { return false; }
    go(page + (way === 'up' ? -1 : 1), way === 'up');
    return true;
  }

  var KEYS = {
    ArrowLeft: function () { return moved('left'); }, ArrowRight: function () { return moved('right'); },
    ArrowUp: function () { return moved('up'); }, ArrowDown: function () { return moved('down'); },
    PageUp: function () { go(page - 1); return true; }, PageDown: function () { go(page + 1); return true; },
    Home: function () { go(1); return true; }, End: function () { go(paper.numPages); return true; },
    '+': function () { acts.larger(); return true; }, '=': function () { acts.larger(); return true; },
    '-': function () { acts.smaller(); return true; }, '0': function () { size(1); return true; },
    ' ': function () { go(page + 1); return true; }
  };
  var NAMES = { 37: 'ArrowLeft', 38: 'ArrowUp', 39: 'ArrowRight', 40: 'ArrowDown', 33: 'PageUp', 34: 'PageDown',
    Left: 'ArrowLeft', Up: 'ArrowUp', Right: 'ArrowRight', Down: 'ArrowDown' };

  view.addEventListener('keydown', function (event) {
    if (!paper || event.altKey || event.ctrlKey || event.metaKey) { return; }
    var act = KEYS[NAMES[event.key] || event.key || NAMES[event.keyCode]];
    if (act && act()) { event.preventDefault(); }
  });

  /* -- fingers: one sideways turns, where there is nothing to move sideways; two make larger and smaller. */
  var began = null;
  function apart(touches) {
    return Math.sqrt(Math.pow(touches[0].clientX - touches[1].clientX, 2) + Math.pow(touches[0].clientY - touches[1].clientY, 2));
  }
  view.addEventListener('touchstart', function (event) {
    if (event.touches.length === 2) {
      began = { apart: apart(event.touches), last: 0 };
    } else if (event.touches.length === 1) {
      began = { x: event.touches[0].clientX, y: event.touches[0].clientY };
    } else { began = null; }
  });
  view.addEventListener('touchmove', function (event) {
    if (began && began.apart && event.touches.length === 2) {
      began.last = apart(event.touches);
      event.preventDefault();
    }
  }, { passive: false });
  view.addEventListener('touchend', function (event) {
    var from = began;
    if (!from || !paper) { return; }
    if (from.apart) {
      began = null;
      if (from.last) { size(zoom * from.last / from.apart); }
      return;
    }
    began = null;
    var x = event.changedTouches[0].clientX - from.x;
    var y = event.changedTouches[0].clientY - from.y;
    if (Math.abs(x) > SWIPE && Math.abs(x) > 2 * Math.abs(y) && view.scrollWidth <= view.clientWidth + 1) {
      go(page + (x < 0 ? 1 : -1));
    }
  });

  /* -- the whole screen: of the page, not of the bare file, where the browser can. */
  var fill = stage.requestFullscreen || stage.webkitRequestFullscreen;
  function filled() {
    var on = (document.fullscreenElement || document.webkitFullscreenElement) === stage;
    stage.className = 'stage paper' + (on ? ' full' : '');
    if (on) { view.focus(); }
    zoom = 1;
    tell();
    draw();
  }
  document.addEventListener('fullscreenchange', filled);
  document.addEventListener('webkitfullscreenchange', filled);
  if (full && fill) {
    full.addEventListener('click', function (event) {
      if (paper && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        fill.call(stage);
      }
    });
  }

  var later = 0;
  var width = 0;
  window.addEventListener('resize', function () {
    window.clearTimeout(later);
    later = window.setTimeout(function () {
      if (paper && view.clientWidth !== width) { width = view.clientWidth; draw(); }
    }, 150);
  });
  window.addEventListener('hashchange', function () {
    if (paper && asked()) { go(asked()); }
  });

  if (!pdfjs) { native(); return; }
  waiting.hidden = false;
  pdfjs.GlobalWorkerOptions.workerSrc = stage.getAttribute('data-worker');
  /* No code is ever made of what a document says (CVE-2024-4367); the policy of the page forbids it, too.
     Only the parts of the file that are looked at are asked for: of a scanned book the heads of its pages and one
     page, not 200 MB. */
  pdfjs.getDocument({
    url: address, isEvalSupported: false, enableXfa: false, disableAutoFetch: true, disableStream: true, rangeChunkSize: 65536,
    cMapUrl: stage.getAttribute('data-maps'), cMapPacked: true, standardFontDataUrl: stage.getAttribute('data-fonts')
  }).promise.then(function (document) {
    paper = document;
    waiting.hidden = true;
    bar.hidden = false;
    view.hidden = false;
    width = view.clientWidth;
    page = within(asked() || 1);
    tell();
    draw();
  }).catch(fail);
}());
