import { h, render } from "preact";
import { boot } from "../api/early";
import { App } from "../panels/App";
import { Editor } from "../panels/editor";
import "./tokens.css";
import "./base.css";
import "./components.css";
import "./editor.css";

const root = document.getElementById("editor");
if (boot && root) render(h(App, { editor: new Editor(boot) }), root);
