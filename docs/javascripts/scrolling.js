"use strict";
// What scrolls sideways can be reached by the keyboard. Tables get their box from the theme's script, which has run by then.
window.addEventListener("load", () => {
  for (const one of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap")) {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
  }
});
