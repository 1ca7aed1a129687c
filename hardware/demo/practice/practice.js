/* Shows the strokes of a character one by one. Works on browsers since 2016. */
(function () {
  "use strict";
  var NS = "http://www.w3.org/2000/svg";
  var paper = document.getElementById("paper");
  var count = document.getElementById("count");
  var strokes = [];
  var shown = 0;

  function get(address, then) {
    var request = new XMLHttpRequest();
    request.open("GET", address);
    request.onload = function () { then(JSON.parse(request.responseText)); };
    request.send();
  }

  function draw() {
    while (paper.firstChild) { paper.removeChild(paper.firstChild); }
    [[0, 512, 1024, 512], [512, 0, 512, 1024], [0, 0, 1024, 1024], [1024, 0, 0, 1024]].forEach(function (l) {
      var line = document.createElementNS(NS, "line");
      ["x1", "y1", "x2", "y2"].forEach(function (name, i) { line.setAttribute(name, l[i]); });
      paper.appendChild(line);
    });
    strokes.slice(0, shown).forEach(function (d, i) {
      var path = document.createElementNS(NS, "path");
      path.setAttribute("d", d);
      path.setAttribute("transform", "translate(0 900) scale(1 -1)");
      if (i === shown - 1) { path.setAttribute("class", "last"); }
      paper.appendChild(path);
    });
    count.textContent = shown + " / " + strokes.length;
  }

  function open(text, button) {
    get("characters/" + encodeURIComponent(text) + ".json", function (data) {
      Array.prototype.forEach.call(document.querySelectorAll("#choose button"), function (other) {
        other.setAttribute("aria-pressed", String(other === button));
      });
      strokes = data.strokes;
      shown = strokes.length;
      draw();
    });
  }

  document.getElementById("next").onclick = function () { shown = shown % strokes.length + 1; draw(); };
  document.getElementById("again").onclick = function () { shown = 0; draw(); };
  get("characters/index.json", function (texts) {
    texts.forEach(function (text) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.onclick = function () { open(text, button); };
      document.getElementById("choose").appendChild(button);
    });
    open(texts[0], document.querySelector("#choose button"));
  });
})();
