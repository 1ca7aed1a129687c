// Sends a file piece by piece (tus 1.0): what has come stays, whatever breaks; the form's own way is left for
// browsers without this. The pieces grow while they go quickly, so that little is sent twice on a bad line.
(function () {
  "use strict";
  var form = document.getElementById("send");
  if (!form || !window.XMLHttpRequest || !window.File || !File.prototype.slice || !window.JSON) { return; }
  var SMALLEST = 256 * 1024, LARGEST = 8 * 1024 * 1024, QUICK_MS = 2000, SLOW_MS = 8000;
  var MOST_WAIT_MS = 30000, MOST_KEPT = 20, KEPT = "teachpoint-uploads";
  var place = form.getAttribute("data-uploads"), button = form.querySelector("button");
  var area = document.getElementById("sending"), words = document.getElementById("sending-words");
  var bar = area.querySelector("progress"), wait = 0, piece = SMALLEST, wake = null;

  document.getElementById("file-hint").textContent = form.getAttribute("data-size");

  // -- what this browser had begun: [[name|size|changed, address, name], ...]; only a help to find it again
  function begun() {
    try {
      var found = JSON.parse(localStorage.getItem(KEPT) || "[]");
      return Array.isArray(found) ? found : [];
    } catch (error) { return []; }
  }
  function keep(print, address, name) {
    var rest = begun().filter(function (one) { return one[0] !== print; });
    if (address) { rest.push([print, address, name]); }
    try { localStorage.setItem(KEPT, JSON.stringify(rest.slice(-MOST_KEPT))); } catch (error) { /* private */ }
  }
  function printOf(file) { return [file.name, file.size, file.lastModified].join("|"); }

  function say(name, value) {
    words.textContent = (form.getAttribute("data-" + name) || name).replace(/\{(name|percent)\}/, function () { return value; });
    area.hidden = false;
  }

  function ask(method, address, headers, body, done) {
    var request = new XMLHttpRequest();
    request.open(method, address);
    request.setRequestHeader("Tus-Resumable", "1.0.0");
    Object.keys(headers).forEach(function (name) { request.setRequestHeader(name, headers[name]); });
    request.onload = function () { done(request.status, request); };
    request.onerror = function () { done(0, request); };
    if (body && request.upload) {
      request.upload.onprogress = function (event) { body.came(event.loaded); };
    }
    request.send(body ? body.bytes : null);
  }

  function encoded(text) { return btoa(unescape(encodeURIComponent(text))); }

  function told(request) {
    var said;
    try { said = JSON.parse(request.responseText).error; } catch (error) { said = null; }
    return said && said.message ? said.message + " " + said.advice : form.getAttribute("data-failed");
  }

  function stop(message) {
    words.textContent = message;
    button.disabled = false;
  }

  function signIn() {
    stop(form.getAttribute("data-signin") + " ");
    var link = document.createElement("a");
    link.href = "/teacher";
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = form.getAttribute("data-signin-link");
    words.appendChild(link);
  }

  // What is no use to try again is told; all else is tried again, the pauses growing.
  function failed(status, request, again) {
    if (status === 401) { signIn(); return; }
    if ([400, 403, 411, 412, 413, 415, 429, 507].indexOf(status) >= 0) { stop(told(request)); return; }
    wait = Math.min(Math.max(wait * 2, 1000), MOST_WAIT_MS);
    piece = SMALLEST;
    say("broken", "");
    var timer = setTimeout(go, wait * (0.7 + 0.6 * Math.random()));
    function go() { clearTimeout(timer); wake = null; again(); }
    wake = go;
  }
  window.addEventListener("online", function () { if (wake) { wake(); } });

  function show(done, size) {
    var percent = size ? Math.floor(100 * done / size) : 100;
    bar.value = percent;
    say("going", percent);
  }

  function create(file) {
    var names = ["title", "about", "educationalLevel", "creator", "license"];
    var texts = ["filename " + encoded(file.name)];
    names.forEach(function (name) {
      var value = form.elements[name].value.trim();
      if (value) { texts.push(name + " " + encoded(value)); }
    });
    ask("POST", place, { "Upload-Length": String(file.size), "Upload-Metadata": texts.join(",") }, null,
      function (status, request) {
        if (status !== 201) { failed(status, request, function () { create(file); }); return; }
        var address = request.getResponseHeader("Location");
        keep(printOf(file), address, file.name);
        send(file, address, 0);
      });
  }

  function look(file, address) {
    ask("HEAD", address, {}, null, function (status, request) {
      if (status === 404) { keep(printOf(file), null); create(file); return; }
      if (status !== 200) { failed(status, request, function () { look(file, address); }); return; }
      if (Number(request.getResponseHeader("Upload-Length")) !== file.size) { create(file); return; }
      send(file, address, Number(request.getResponseHeader("Upload-Offset")));
    });
  }

  function send(file, address, offset) {
    show(offset, file.size);
    if (offset >= file.size) {
      keep(printOf(file), null);
      location.href = form.getAttribute("action") + "?came=" + address.split("/").pop();
      return;
    }
    var start = Date.now(), end = Math.min(offset + piece, file.size);
    ask("PATCH", address, { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) }, {
      bytes: file.slice(offset, end),
      came: function (count) { show(Math.min(offset + count, end), file.size); }
    }, function (status, request) {
      if (status === 409) { look(file, address); return; }
      if (status !== 204) { failed(status, request, function () { look(file, address); }); return; }
      var took = Date.now() - start;
      wait = 0;
      if (took < QUICK_MS) { piece = Math.min(piece * 2, LARGEST); }
      if (took > SLOW_MS) { piece = Math.max(piece / 2, SMALLEST); }
      send(file, address, Number(request.getResponseHeader("Upload-Offset")));
    });
  }

  form.addEventListener("submit", function (event) {
    var file = form.elements.file.files[0];
    if (!file) { return; }
    event.preventDefault();
    button.disabled = true;
    wait = 0;
    show(0, file.size);
    var known = begun().filter(function (one) { return one[0] === printOf(file); })[0];
    if (known) { look(file, known[1]); } else { create(file); }
  });

  // What was interrupted here is asked for, and forgotten where the box has dropped or finished it.
  begun().slice(-1).forEach(function (one) {
    ask("HEAD", one[1], {}, null, function (status, request) {
      var open = status === 200 && request.getResponseHeader("Upload-Offset") !== request.getResponseHeader("Upload-Length");
      if (open && !button.disabled) { say("again", one[2]); area.querySelector("progress").value = 100 *
        request.getResponseHeader("Upload-Offset") / request.getResponseHeader("Upload-Length"); }
      if (status === 200 && !open || status === 404) { keep(one[0], null); }
    });
  });
}());
