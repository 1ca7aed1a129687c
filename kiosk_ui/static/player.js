/* A film or a sound: speed, subtitles on and off, going on where it stopped (kept on this device only), the
   keys of a keyboard and of a TV's remote, and plain words where it cannot be played. ES5, no libraries. */
(function () {
  'use strict';

  var film = document.querySelector('[data-player]');
  if (!film) { return; }
  var bar = document.querySelector('[data-player-bar]');
  var speed = document.querySelector('[data-player-speed]');
  var words = document.querySelector('[data-player-words]');
  var again = document.querySelector('[data-player-again]');
  var spoken = document.querySelector('[data-player-spoken]');
  var name = film.getAttribute('data-player');

  var KEPT = 'teachpoint-stopped';
  /* Places kept on this device: the oldest goes first. */
  var MOST_PLACES = 100;
  /* Not worth going on: so near to the beginning or to the end, in seconds. */
  var NEAR = 10;
  /* Seconds that an arrow goes. */
  var STEP = 10;

  bar.hidden = false;

  /* -- where it stopped. A browser may forbid to keep anything: then it begins at the beginning. */
  function places() {
    try {
      var kept = JSON.parse(window.localStorage.getItem(KEPT) || '[]');
      return Array.isArray(kept) ? kept.filter(function (one) { return Array.isArray(one) && one.length === 2; }) : [];
    } catch (error) { return []; }
  }

  var last = -1;
  function keep() {
    var at = Math.floor(film.currentTime);
    if (at === last || !film.duration) { return; }
    last = at;
    var others = places().filter(function (one) { return one[0] !== name; });
    if (at > NEAR && at < film.duration - NEAR) { others.push([name, at]); }
    try {
      window.localStorage.setItem(KEPT, JSON.stringify(others.slice(-MOST_PLACES)));
    } catch (error) { /* full or forbidden */ }
  }

  function begin() {
    var kept = places().filter(function (one) { return one[0] === name; })[0];
    if (kept && kept[1] > NEAR && kept[1] < film.duration - NEAR && film.currentTime < 1) {
      film.currentTime = kept[1];
      again.hidden = false;
    }
    if (film.tagName === 'VIDEO' && film.videoWidth === 0) { fail('blind'); }
  }

  film.addEventListener('timeupdate', function () {
    if (!film.paused && Math.abs(film.currentTime - last) >= 5) { keep(); }
  });
  film.addEventListener('pause', keep);
  film.addEventListener('ended', keep);
  window.addEventListener('pagehide', function () { if (film.currentTime > NEAR) { keep(); } });
  if (film.readyState >= 1) { begin(); } else { film.addEventListener('loadedmetadata', begin); }
  again.addEventListener('click', function () {
    film.currentTime = 0;
    again.hidden = true;
    film.focus();
  });

  /* -- what goes wrong */
  function fail(kind) {
    document.querySelector('[data-player-failed="' + kind + '"]').hidden = false;
    film.setAttribute('data-player-state', kind);
  }
  function wrong() {
    var code = film.error ? film.error.code : 0;
    fail(code === 2 ? 'unreached' : code === 3 ? 'damaged' : 'unplayable');
    if (code !== 2 && code !== 3) {
      bar.hidden = true;
      var full = document.querySelector('[data-full]');
      if (full) { full.hidden = true; }
    }
  }
  /* Not by `networkState`: while a browser has not yet begun to choose what to load it says "no source", too. */
  if (film.error) { wrong(); } else { film.addEventListener('error', wrong); }

  /* -- speed */
  function hasten(by) {
    var next = speed.selectedIndex + by;
    if (next >= 0 && next < speed.options.length) { speed.selectedIndex = next; }
    film.playbackRate = Number(speed.value);
  }
  speed.addEventListener('change', function () { hasten(0); });

  /* -- subtitles: over a film by the browser; below a sound, where browsers show none. */
  function track() {
    for (var i = 0; i < film.textTracks.length; i += 1) {
      if (film.textTracks[i].mode !== 'disabled' && film.textTracks[i].mode !== 'hidden') { return film.textTracks[i]; }
    }
    return null;
  }
  function switchWords() {
    var on = track();
    var one = on || film.textTracks[0];
    if (!one) { return; }
    one.mode = on ? 'hidden' : 'showing';
    told();
  }
  function told() {
    if (words) { words.setAttribute('aria-pressed', track() ? 'true' : 'false'); }
    if (spoken) { say(); }
  }
  function say() {
    var on = track();
    var said = [];
    for (var i = 0; on && on.activeCues && i < on.activeCues.length; i += 1) { said.push(on.activeCues[i].text.replace(/<[^>]*>/g, '')); }
    spoken.textContent = said.join('\n');
    spoken.hidden = !on;
  }
  if (words) { words.addEventListener('click', switchWords); }
  if (film.textTracks && film.textTracks.addEventListener) { film.textTracks.addEventListener('change', told); }
  if (spoken && film.textTracks && film.textTracks[0]) { film.textTracks[0].addEventListener('cuechange', say); }

  /* -- keys. The remote's own play keys work wherever the focus is; letters and arrows on the film. */
  function play() {
    if (!film.paused) { film.pause(); return; }
    var playing = film.play();
    if (playing && playing.catch) { playing.catch(function () { /* the browser refuses: its own bar says so */ }); }
  }
  function seek(by) { film.currentTime = Math.min(Math.max(film.currentTime + by, 0), film.duration || 0); }
  var REMOTE = {
    MediaPlayPause: play, MediaPlay: function () { if (film.paused) { play(); } }, MediaPause: function () { film.pause(); },
    MediaStop: function () { film.pause(); }, MediaFastForward: function () { seek(STEP); }, MediaRewind: function () { seek(-STEP); }
  };
  /* Codes of TVs that name no keys: play/pause, play, pause, stop, forward, back. */
  var CODES = { 179: 'MediaPlayPause', 10252: 'MediaPlayPause', 415: 'MediaPlay', 19: 'MediaPause', 413: 'MediaStop',
    417: 'MediaFastForward', 412: 'MediaRewind', 37: 'ArrowLeft', 39: 'ArrowRight' };
  var KEYS = {
    ' ': play, k: play, ArrowLeft: function () { seek(-STEP); }, ArrowRight: function () { seek(STEP); },
    Left: function () { seek(-STEP); }, Right: function () { seek(STEP); }, c: switchWords,
    m: function () { film.muted = !film.muted; }, '<': function () { hasten(-1); }, '>': function () { hasten(1); }
  };
  document.addEventListener('keydown', function (event) {
    if (event.altKey || event.ctrlKey || event.metaKey) { return; }
    var key = event.key && event.key !== 'Unidentified' ? event.key : CODES[event.keyCode];
    var act = REMOTE[key] || REMOTE[CODES[event.keyCode]] || (document.activeElement === film && KEYS[key]);
    if (act) {
      event.preventDefault();
      act();
    }
  }, true);
}());
