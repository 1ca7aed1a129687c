// Where many sign in at this moment the box says when to come again: this waits and tries by itself, so that
// nobody types a password twice. Whatever else is answered is shown as without scripts.
(function () {
  "use strict";
  var form = document.getElementById("sign-in");
  if (!form || !window.XMLHttpRequest || !("responseURL" in XMLHttpRequest.prototype)) { return; }
  var words = document.getElementById("sign-in-words"), button = form.querySelector("button");

  function fields() {
    return [].filter.call(form.elements, function (one) {
      return one.name && (one.type !== "checkbox" || one.checked);
    }).map(function (one) { return encodeURIComponent(one.name) + "=" + encodeURIComponent(one.value); }).join("&");
  }

  function send(body) {
    var request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    request.onload = function () {
      var wait = Number(request.getResponseHeader("Retry-After"));
      if (request.status === 503 && wait > 0) {
        words.textContent = form.getAttribute("data-busy");
        words.hidden = false;
        setTimeout(function () { send(body); }, 1000 * wait * (0.5 + Math.random()));
      } else if (request.status === 200 && request.responseURL !== form.action) {
        location.href = request.responseURL;
      } else {
        document.open();
        document.write(request.responseText);
        document.close();
      }
    };
    request.onerror = function () { form.submit(); };
    request.send(body);
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    button.disabled = true;
    send(fields());
  });
}());
