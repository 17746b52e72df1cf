"""Scripts that `tab` runs: in a page or, where noted, in the window of Firefox itself."""

from __future__ import annotations

from typing import Final

__all__ = ["CHANGED", "LOOK", "PICK", "REACHABLE", "REPORT_VIOLATIONS", "STATE", "TRUST", "WAIT"]

REPORT_VIOLATIONS: Final = """(report) => document.addEventListener(
  "securitypolicyviolation", (event) => report(`${event.violatedDirective} ${event.sample}`))"""

WAIT: Final = """(milliseconds) => new Promise((resolve, reject) => {
  const look = () => {
    let found;
    try { found = (%s); } catch (error) { end(() => reject(error)); return; }
    if (found) end(() => resolve(found));
  };
  const end = (settle) => {
    observer.disconnect(); clearInterval(timer); clearTimeout(limit); settle();
  };
  const observer = new MutationObserver(look);
  observer.observe(document, {
    subtree: true, childList: true, attributes: true, characterData: true,
  });
  // For what is no change of the document, such as a property.
  const timer = setInterval(look, 100);
  const limit = setTimeout(() => end(() => reject(new Error("timed out"))), milliseconds);
  look();
})"""
"Without requestAnimationFrame, which a tab in the background doesn't get."

REACHABLE: Final = """(() => {
  const found = document.querySelector(%s);
  if (!found?.checkVisibility({ visibilityProperty: true }) || found.disabled) return false;
  found.scrollIntoView({ block: "center", behavior: "instant" });
  return true;
})()"""

STATE: Final = "`${document.body?.dataset.state}: ${document.body?.innerText}`"
"The state of a page, for the message of a wait that failed."

PICK: Final = """(path) => {
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  const picker = {
    QueryInterface: ChromeUtils.generateQI(["nsIFilePicker"]),
    init() {}, appendFilter() {}, appendFilters() {}, appendRawFilter() {},
    isModeSupported: async () => true,
    mode: 0, defaultString: "", defaultExtension: "", filterIndex: 0, displayDirectory: null,
    displaySpecialDirectory: "", addToRecentDocs: false, okButtonLabel: "", capture: 0,
    file, get files() { return [file][Symbol.iterator](); },
    open(callback) {
      Services.tm.dispatchToMainThread(() => callback.done(Ci.nsIFilePicker.returnOK));
    },
  };
  const factory = {
    QueryInterface: ChromeUtils.generateQI(["nsIFactory"]),
    createInstance: (type) => picker.QueryInterface(type),
  };
  Components.manager.QueryInterface(Ci.nsIComponentRegistrar)
    .registerFactory(Services.uuid.generateUUID(), "", "@mozilla.org/filepicker;1", factory);
  // It asks whether really to give a page a whole folder.
  const agree = (dialog) => {
    Services.obs.removeObserver(agree, "common-dialog-loaded");
    dialog.Dialog.ui.button0.disabled = false;
    dialog.Dialog.ui.button0.click();
  };
  Services.obs.addObserver(agree, "common-dialog-loaded");
}"""
"In Firefox, from inside: the next folder dialog is answered with this folder."

CHANGED: Final = """(selector) => new Promise((resolve) => {
  const input = document.querySelector(selector);
  input.addEventListener("change", () => resolve(true), { once: true });
  input.click();
})"""

LOOK: Final = """(scheme, motion) => {
  Services.prefs.setIntPref("layout.css.prefers-color-scheme.content-override", scheme);
  Services.prefs.setIntPref("ui.prefersReducedMotion", motion);
}"""
"In Firefox, from inside: 0 dark, 1 light; 1 reduced motion."

TRUST: Final = """(certificate) => {
  const name = "@mozilla.org/security/x509certdb;1";
  const known = Components.classes[name].getService(Components.interfaces.nsIX509CertDB);
  known.addCertFromBase64(certificate, "C,,");
}"""
"In Firefox, from inside: trust an authority."
