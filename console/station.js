// The few things only the browser can do: remember per tab, switch theme and tab.
let typed = "";
const roadcallKept = () => ({
  token: sessionStorage.getItem("roadcall.token"),
  operator: sessionStorage.getItem("roadcall.operator"),
  offset: new Date().getTimezoneOffset(),
});
const roadcallKeep = (key, value) => sessionStorage.setItem("roadcall." + key, value);
const roadcallType = (e) => (typed = e.target.elements[0].value);
const roadcallKeepTyped = () => roadcallKeep("token", typed);
const roadcallForget = () => { sessionStorage.removeItem("roadcall.token"); location.reload(); };
const roadcallTab = (tab) => {
  const page = document.getElementById("page");
  if (page) page.dataset.tab = tab;
};
const roadcallDark = () => {
  const chosen = localStorage.getItem("roadcall.theme");
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const roadcallPaint = () =>
  document.documentElement.classList.toggle("dark", roadcallDark());
const roadcallTheme = () => {
  localStorage.setItem("roadcall.theme", roadcallDark() ? "light" : "dark");
  roadcallPaint();
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", roadcallPaint);
roadcallPaint();
