// The button that prints, which without this file is not there: the browser's own menu prints as well.
(() => {
  "use strict";
  const button = document.getElementById("print");
  button.hidden = false;
  button.addEventListener("click", () => print());
})();
