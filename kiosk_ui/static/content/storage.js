/* In the sandbox nothing may be kept, and asking for it throws; much foreign code asks and does not expect that. Here
   it gets a storage that lasts as long as its page, and no cookies. ES5. */
(function () {
  'use strict';
  function memory() {
    var kept = {}, api = {
      getItem: function (name) { return Object.prototype.hasOwnProperty.call(kept, name) ? kept[name] : null; },
      setItem: function (name, value) { kept[String(name)] = String(value); },
      removeItem: function (name) { delete kept[name]; },
      clear: function () { kept = {}; },
      key: function (place) { return Object.keys(kept)[place] || null; }
    };
    Object.defineProperty(api, 'length', {get: function () { return Object.keys(kept).length; }});
    return api;
  }
  ['localStorage', 'sessionStorage'].forEach(function (name) {
    try { if (window[name]) { return; } } catch (refused) { /* then ours */ }
    Object.defineProperty(window, name, {value: memory(), configurable: true});
  });
  try { document.cookie; } catch (refused) {
    Object.defineProperty(document, 'cookie', {get: function () { return ''; }, set: function () { /* none */ }, configurable: true});
  }
}());
