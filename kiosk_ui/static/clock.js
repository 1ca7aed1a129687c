// The time of this device goes with the form, so that nobody has to type it. Without this, it is typed.
(function () {
  "use strict";
  var form = document.getElementById("clock");
  if (!form) { return; }
  document.getElementById("typed").hidden = true;
  form.addEventListener("submit", function () {
    form.elements.seconds.value = String(Math.round(Date.now() / 1000));
  });
}());
