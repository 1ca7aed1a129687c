/* The remote control: sends its forms without leaving the page, shows how the screen is, the film's bar, the
   pointer under the finger. Without it the buttons still work. ES5, no libraries. */
(function () {
  'use strict';
  var root = document.getElementById('remote');
  if (!root) { return; }
  var address = '/remote/' + root.getAttribute('data-id');
  var token = root.getAttribute('data-token');
  var showing = root.getAttribute('data-show');
  var tag = '';
  var length = 0;
  var seek = document.getElementById('seek');
  var dragging = false;

  function part(id) { return document.getElementById(id); }
  function hide(id, hidden) { if (part(id)) { part(id).hidden = hidden; } }

  function send(fields, done) {
    var request = new XMLHttpRequest();
    var body = 'script=1&token=' + token;
    Object.keys(fields).forEach(function (name) { body += '&' + name + '=' + encodeURIComponent(fields[name]); });
    request.open('POST', address);
    request.timeout = 10000;
    request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
    request.onload = function () {
      hide('lost', true);
      if (request.status === 403) { window.location.reload(); }
      if (done) { done(); }
    };
    request.onerror = request.ontimeout = function () { hide('lost', false); if (done) { done(); } };
    request.send(body);
  }

  Array.prototype.forEach.call(document.querySelectorAll('form[data-command]'), function (form) {
    if (form.getAttribute('data-command') === 'code') { return; } /* its answer brings a new key, and a new page */
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      send({ action: form.elements.action.value, value: form.elements.value.value });
    });
  });

  function clock(seconds) {
    var whole = Math.floor(seconds);
    var rest = whole % 60;
    return Math.floor(whole / 60) + ':' + (rest < 10 ? '0' : '') + rest;
  }

  function command(name, hidden) {
    var form = document.querySelector('form[data-command="' + name + '"]');
    if (!form || form.hidden === hidden) { return; }
    var had = form.contains(document.activeElement);
    form.hidden = hidden;
    if (had && hidden) { /* the focus goes on to what stands in its place */
      var other = { play: 'pause', pause: 'play', blank: 'light', light: 'blank' }[name];
      setTimeout(function () { document.querySelector('form[data-command="' + other + '"] button').focus(); }, 0);
    }
  }

  function take(state) {
    tag = state.tag;
    if ((state.show || []).join('/') !== showing) { window.location.reload(); return; }
    hide('off', state.here);
    hide('muted', !state.muted);
    command('play', state.playing);
    command('pause', !state.playing);
    command('blank', state.blank);
    command('light', !state.blank);
    length = state.length;
    hide('time', !length);
    if (seek && length && !dragging) {
      seek.max = Math.ceil(length);
      seek.value = state.at;
      part('at').textContent = clock(state.at) + ' / ' + clock(length);
    }
    if (part('page') && state.pages) { part('page').textContent = state.page + ' / ' + state.pages; }
    shape(state.shape);
  }

  if (seek) {
    seek.addEventListener('input', function () {
      dragging = true;
      part('at').textContent = clock(+seek.value) + ' / ' + clock(length);
    });
    seek.addEventListener('change', function () {
      send({ action: 'seek', value: seek.value }, function () { dragging = false; });
    });
  }

  function wait() {
    var request = new XMLHttpRequest();
    request.open('GET', address + '/wait?after=' + tag);
    request.timeout = 40000;
    request.onload = function () {
      if (request.status === 403) { window.location.reload(); return; }
      var fine = request.status === 200 || request.status === 204;
      hide('lost', fine);
      if (request.status === 200) { take(JSON.parse(request.responseText)); }
      setTimeout(wait, fine ? +(request.getResponseHeader('X-Again') || 0) : 2000);
    };
    request.onerror = request.ontimeout = function () { hide('lost', false); setTimeout(wait, 2000); };
    request.send();
  }

  /* -- the pointer ---------------------------------------------------------------------------------- */
  var pad = part('pad');
  var canvas = pad && pad.querySelector('canvas');
  var pen = canvas && canvas.getContext('2d');
  var points = [];
  var sending = false;
  var last = null;
  var wipe = 0;
  var ratio = 16 / 9;

  function shape(told) {
    if (!pad) { return; }
    ratio = told;
    var height = Math.round(pad.clientWidth / ratio);
    if (Math.abs(pad.clientHeight - height) > 1) {
      pad.style.height = height + 'px';
      canvas.width = pad.clientWidth;
      canvas.height = height;
    }
  }

  function flush() {
    if (sending || !points.length) { return; }
    sending = true;
    send({ action: 'draw', value: points.splice(0, 200).join(' ') }, function () { sending = false; setTimeout(flush, 30); });
  }

  function draw(x, y) {
    var box = pad.getBoundingClientRect();
    point((x - box.left) / box.width, (y - box.top) / box.height);
  }

  function point(x, y) {
    var here = [Math.max(0, Math.min(1, x)), Math.max(0, Math.min(1, y))];
    points.push(Math.round(here[0] * 9999) + ',' + Math.round(here[1] * 9999));
    pen.lineWidth = 4;
    pen.lineCap = 'round';
    pen.strokeStyle = '#d3202a';
    pen.beginPath();
    pen.moveTo((last || here)[0] * canvas.width, (last || here)[1] * canvas.height);
    pen.lineTo(here[0] * canvas.width, here[1] * canvas.height);
    pen.stroke();
    last = here;
    clearTimeout(wipe);
    flush();
  }

  function lift() {
    if (!last) { return; }
    last = null;
    points.push('-');
    flush();
    wipe = setTimeout(function () { pen.clearRect(0, 0, canvas.width, canvas.height); }, 3000);
  }

  /* By keys: OK takes the pointer in hand and lays it down again, the arrows draw. */
  var STEP = 0.04;      /* so far goes an arrow, as a share of the screen */
  var REST_MS = 1500;   /* the line ends so long after the last arrow */
  var WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1],
    37: [-1, 0], 39: [1, 0], 38: [0, -1], 40: [0, 1] };
  var hand = null;
  var rest = 0;

  function hold(place) {
    hand = place;
    pad.className = 'remote-pad' + (hand ? ' held' : '');
    clearTimeout(rest);
    if (hand) { point(hand[0], hand[1]); rest = setTimeout(lift, REST_MS); } else { lift(); }
  }

  function aim(event) {
    var way = WAYS[event.key] || WAYS[event.keyCode];
    if (event.altKey || event.ctrlKey || event.metaKey) { return; }
    if (event.key === 'Enter' || event.keyCode === 13) {
      hold(hand ? null : [0.5, 0.5]);
    } else if (hand && way) {
      hold([Math.max(0, Math.min(1, hand[0] + STEP * way[0])), Math.max(0, Math.min(1, hand[1] + STEP * ratio * way[1]))]);
    } else { return; }
    event.preventDefault();
  }

  if (pad) {
    pad.addEventListener('keydown', aim);
    pad.addEventListener('blur', function () { hold(null); });
    part('pad-part').hidden = false;
    shape(+pad.getAttribute('data-shape'));
    pad.addEventListener('touchstart', function (event) { event.preventDefault(); draw(event.touches[0].clientX, event.touches[0].clientY); }, { passive: false });
    pad.addEventListener('touchmove', function (event) { event.preventDefault(); draw(event.touches[0].clientX, event.touches[0].clientY); }, { passive: false });
    pad.addEventListener('touchend', lift);
    pad.addEventListener('touchcancel', lift);
    pad.addEventListener('mousedown', function (event) { event.preventDefault(); draw(event.clientX, event.clientY); });
    pad.addEventListener('mousemove', function (event) { if (event.buttons) { draw(event.clientX, event.clientY); } else { lift(); } });
    document.addEventListener('mouseup', lift);
    window.addEventListener('resize', function () { shape(ratio); });
  }

  command('play', true); /* of the two only one is needed; the first answer says which */
  wait();
}());
