/* A screen of the room: asks the box what to show and shows it, says where its film is, and never gives up.
   ES5, no libraries, for the browsers of TVs. */
(function () {
  'use strict';
  var body = document.body;
  var token = body.getAttribute('data-token');
  var code = body.getAttribute('data-code');
  var idle = document.getElementById('main');
  var stage = document.getElementById('stage');
  var started = Date.now();

  var FRESH_MS = 10 * 60000; /* an idle page older than this is loaded anew: address and program may have changed */
  var SAY_MS = 2000;         /* how often a film says where it is */

  function ask(method, address, fields, done, patience) {
    var request = new XMLHttpRequest();
    var words = null;
    request.open(method, address);
    request.timeout = patience || 10000;
    if (fields) {
      words = 'token=' + token;
      Object.keys(fields).forEach(function (name) { words += '&' + name + '=' + encodeURIComponent(fields[name]); });
      request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
    }
    request.onload = function () { done(request.status, request.responseText, request); };
    request.onerror = request.ontimeout = function () { done(0, '', request); };
    request.send(words);
  }

  /* -- becoming a screen, and staying one ------------------------------------------------------------ */
  if (!code) {
    if (!body.hasAttribute('data-begun')) {
      var begin = function () {
        ask('POST', '/screen/here', {}, function (status) {
          if (status === 204) { window.location.replace('/screen?begun'); } else { setTimeout(begin, 3000); }
        });
      };
      begin();
    }
    return;
  }

  /* -- what is shown --------------------------------------------------------------------------------- */
  var tag = '';
  var obeyed = -1;      /* the version of the last command that was obeyed */
  var jumped = -1;
  var showing = null;   /* 'package/resource', '' for nothing, null before the first answer */
  var state = null;
  var film = null;
  var frame = null;
  var scroll = null;
  var sheet = null;     /* where a PDF is drawn, and the PDF once it is open */
  var paper = null;
  var drawing = 0;
  var page = 1;
  var pages = 0;
  var loading = false;  /* what stands on the stage is not what is wanted yet */
  var saying = false;
  var unsaid = false;

  function say() {
    if (saying) { unsaid = true; return; }
    saying = true;
    unsaid = false;
    ask('POST', '/screen/said', {
      version: obeyed, playing: film && !film.paused && !film.ended ? 1 : 0, at: film ? film.currentTime : 0,
      length: film && isFinite(film.duration) ? film.duration : 0, page: page, pages: pages,
      muted: film && film.muted ? 1 : 0, shape: window.innerWidth / window.innerHeight
    }, function () {
      saying = false;
      if (unsaid) { say(); }
    });
  }
  setInterval(function () { if (film && !film.paused) { say(); } }, SAY_MS);
  window.addEventListener('resize', function () {
    if (paper) { draw(); }
    say();
  });

  function quiet() { document.getElementById('quiet').hidden = !(film && film.muted); }

  function play() {
    var begun = film.play();
    if (begun && begun.catch) {
      var here = film;
      begun.catch(function (error) { /* a film with sound needs a key pressed on this screen first */
        if (here !== film || error.name !== 'NotAllowedError' || film.muted) { return; }
        film.muted = true;
        play();
        quiet();
      });
    }
  }

  function loud() {
    if (film && film.muted) { film.muted = false; quiet(); say(); return true; }
    return false;
  }

  function turn(to) {
    page = Math.max(1, pages ? Math.min(to, pages) : to);
    if (scroll) {
      scroll.scrollTop = (page - 1) * step();
    } else if (paper) {
      draw();
    } else if (frame && frame.hasAttribute('data-file')) {
      go(frame.getAttribute('data-file') + '#page=' + page + '&view=Fit');
    } else if (frame && frame.hasAttribute('data-chapters')) {
      go(frame.getAttribute('data-chapters') + page);
    }
  }

  function step() { return Math.max(1, scroll.clientHeight * 0.9); }

  function go(address) { /* without a step in the history: Back leaves the screen */
    if (frame.getAttribute('src') === address) { return; }
    var next = frame.cloneNode(false);
    next.setAttribute('src', address);
    frame.parentNode.replaceChild(next, frame);
    frame = next;
  }

  /* -- a PDF, drawn by pdf.js page by page ------------------------------------------------------------ */
  function library(done) {
    if (window.pdfjsLib || window['pdfjs-dist/build/pdf']) { done(); return; }
    var script = document.createElement('script');
    script.src = sheet.getAttribute('data-library');
    script.onload = done;
    document.head.appendChild(script);
  }

  function open() {
    var mine = sheet;
    library(function () {
      if (mine !== sheet) { return; }
      var pdfjs = window.pdfjsLib || window['pdfjs-dist/build/pdf'];
      pdfjs.GlobalWorkerOptions.workerSrc = mine.getAttribute('data-worker');
      /* no code is ever made of what a document says (CVE-2024-4367); the policy of the page forbids it, too */
      pdfjs.getDocument({
        url: mine.getAttribute('data-paper'), isEvalSupported: false, enableXfa: false, disableAutoFetch: true,
        disableStream: true, rangeChunkSize: 65536, cMapUrl: mine.getAttribute('data-maps'), cMapPacked: true,
        standardFontDataUrl: mine.getAttribute('data-fonts')
      }).promise.then(function (found) {
        if (mine !== sheet) { found.destroy(); return; }
        paper = found;
        pages = paper.numPages;
        turn(page);
        say();
      }).catch(function (error) {
        if (mine !== sheet) { return; }
        if (/^(MissingPDF|UnexpectedResponse|UnknownError)Exception$/.test(error.name)) { setTimeout(open, 3000); } else { refuse(mine); }
      });
    });
  }

  function refuse(mine) { mine.querySelector('.screen-words').hidden = false; }

  function draw() {
    var mine = drawing += 1;
    var number = page;
    paper.getPage(number).then(function (one) {
      if (mine !== drawing) { return undefined; }
      var size = one.getViewport({ scale: 1 });
      var fit = one.getViewport({ scale: Math.min(window.innerWidth / size.width, window.innerHeight / size.height) });
      var fresh = document.createElement('canvas');
      fresh.width = Math.floor(fit.width);
      fresh.height = Math.floor(fit.height);
      return one.render({ canvasContext: fresh.getContext('2d'), viewport: fit }).promise.then(function () {
        if (mine !== drawing) { return; }
        var before = sheet.querySelector('canvas');
        if (before) { sheet.removeChild(before); }
        sheet.appendChild(fresh);
        sheet.setAttribute('data-drawn', number);
      });
    }).catch(function () { if (mine === drawing && sheet) { refuse(sheet); } });
  }

  function clear() {
    if (paper) { paper.destroy(); }
    film = frame = scroll = sheet = paper = null;
    drawing += 1;
    pages = 0;
    page = 1;
  }

  /* -- commands --------------------------------------------------------------------------------------- */
  function obey() {
    if (state.version === obeyed) { return; }
    obeyed = state.version;
    if (film) {
      if (state.jump !== jumped) {
        jumped = state.jump;
        film.currentTime = state.at;
      }
      if (state.playing && film.paused) { play(); }
      if (!state.playing && !film.paused) { film.pause(); }
    } else if (state.page !== page) {
      turn(state.page);
    }
    say();
  }

  function shown(text, again) {
    loading = false;
    clear();
    stage.innerHTML = text;
    film = stage.querySelector('[data-film]');
    frame = stage.querySelector('iframe');
    scroll = stage.querySelector('[data-scroll]');
    sheet = stage.querySelector('[data-paper]');
    pages = frame ? +(frame.getAttribute('data-pages') || 0) : scroll ? Math.max(1, Math.ceil((scroll.scrollHeight - scroll.clientHeight) / step()) + 1) : 0;
    turn(state.page);
    if (sheet) { open(); }
    obeyed = state.version;
    jumped = state.jump;
    if (film) {
      var at = state.at;
      film.addEventListener('loadedmetadata', function () { if (at > 0) { film.currentTime = at; } say(); });
      ['play', 'pause', 'seeked', 'ended', 'volumechange', 'error'].forEach(function (name) { film.addEventListener(name, say); });
      /* after a power cut the film stands where it was: the class may not be there */
      if (state.playing && !again) { play(); }
      film.focus();
    } else if (scroll) {
      scroll.focus();
    }
    quiet();
    say();
  }

  function view(again) {
    var wanted = showing;
    loading = true;
    ask('GET', '/screen/view/' + wanted.split('/').map(encodeURIComponent).join('/'), null, function (status, text) {
      if (wanted !== showing) { return; }
      if (status === 200) { shown(text, again); } else { setTimeout(function () { if (wanted === showing) { view(again); } }, 2000); }
    });
  }

  function take(told) {
    var first = showing === null;
    var wanted = (told.show || []).join('/');
    if (told.code !== code || told.name !== body.getAttribute('data-name')) { window.location.reload(); return; }
    state = told;
    tag = told.tag;
    document.getElementById('dark').hidden = !told.blank;
    if (wanted !== showing) {
      showing = wanted;
      idle.hidden = Boolean(wanted);
      stage.hidden = !wanted;
      if (wanted) {
        view(first);
      } else {
        stage.innerHTML = '';
        clear();
        obeyed = told.version;
        quiet();
        say();
      }
    } else if (wanted && !loading) {
      obey();
    }
    points(told, first);
  }

  /* -- asking ---------------------------------------------------------------------------------------- */
  function wait() {
    ask('GET', '/screen/wait?after=' + tag, null, function (status, text, request) {
      var fine = status === 200 || status === 204;
      document.getElementById('away').hidden = fine;
      if (status === 404) { window.location.replace('/screen'); return; } /* the box has forgotten this screen */
      if (status === 200) { take(JSON.parse(text)); }
      if (status === 204 && showing === '' && Date.now() - started > FRESH_MS) { window.location.reload(); return; }
      setTimeout(wait, fine ? +(request.getResponseHeader('X-Again') || 0) : 2000);
    }, 40000);
  }

  /* -- the pointer ----------------------------------------------------------------------------------- */
  var canvas = document.getElementById('pointer');
  var pen = canvas.getContext('2d');
  var drawn = 0;
  var last = null;
  var wipe = 0;

  function points(told, first) {
    var fresh = told.points.slice(Math.max(0, told.points.length - Math.max(0, told.drawn - drawn)));
    if (told.drawn < drawn) { fresh = told.points; } /* the box was started again */
    drawn = told.drawn;
    if (first || !fresh.length) { return; }
    if (canvas.width !== window.innerWidth || canvas.height !== window.innerHeight) {
      canvas.width = window.innerWidth;
      canvas.height = window.innerHeight;
    }
    pen.lineWidth = Math.max(4, window.innerWidth / 200);
    pen.lineCap = 'round';
    pen.lineJoin = 'round';
    pen.strokeStyle = '#ff2b36';
    pen.shadowColor = '#ffffff';
    pen.shadowBlur = 4;
    fresh.forEach(function (point) {
      var here = point && [point[0] / 9999 * canvas.width, point[1] / 9999 * canvas.height];
      if (here) {
        pen.beginPath();
        pen.moveTo((last || here)[0], (last || here)[1]);
        pen.lineTo(here[0], here[1]);
        pen.stroke();
      }
      last = here;
    });
    clearTimeout(wipe);
    wipe = setTimeout(function () { pen.clearRect(0, 0, canvas.width, canvas.height); }, 4000);
  }

  /* -- keys of a TV's remote control ----------------------------------------------------------------- */
  document.addEventListener('keydown', function (event) {
    var key = event.key || { 13: 'Enter', 37: 'ArrowLeft', 39: 'ArrowRight' }[event.keyCode];
    var way = { ArrowLeft: -1, Left: -1, PageUp: -1, ArrowRight: 1, Right: 1, PageDown: 1 }[key];
    if (!showing) { return; }
    if (key === 'Enter' && film) {
      event.preventDefault();
      if (!loud()) { if (film.paused) { play(); } else { film.pause(); } }
    } else if (way && film) {
      event.preventDefault();
      film.currentTime = Math.max(0, film.currentTime + 10 * way);
    } else if (way && pages) {
      event.preventDefault();
      turn(page + way);
      say();
    }
  });
  document.addEventListener('click', loud);

  var button = document.querySelector('[data-sound]');
  if (button) {
    var fill = document.documentElement.requestFullscreen || document.documentElement.webkitRequestFullscreen;
    button.hidden = false;
    button.addEventListener('click', function () {
      var filled = fill && fill.call(document.documentElement);
      if (filled && filled.catch) { filled.catch(function () { /* refused: it goes on in the window */ }); }
    });
  }

  wait();
}());
