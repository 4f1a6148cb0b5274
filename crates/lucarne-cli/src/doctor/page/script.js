"use strict";
(() => {
  const button = document.getElementById("copy");
  const text = document.getElementById("text");
  const say = (word) => {
    const before = button.textContent;
    button.textContent = word;
    setTimeout(() => { button.textContent = before; }, 2000);
  };
  const select = () => {
    text.closest("details").open = true;
    getSelection().selectAllChildren(text);
  };
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      say("Copied");
    } catch {
      // A browser may not let pages from files reach the clipboard: then the text is selected, at least.
      select();
      say(document.execCommand("copy") ? "Copied" : "Selected: press Ctrl-C");
    }
  });
  // What is folded in is printed all the same.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });
})();
