import { h, render } from "preact";
import { App } from "../panels/App";
import { type Boot, Editor } from "../panels/editor";
import "./tokens.css";
import "./base.css";
import "./components.css";
import "./editor.css";

const data = document.getElementById("editor-data")?.textContent;
const root = document.getElementById("editor");
if (data && root) render(h(App, { editor: new Editor(JSON.parse(data) as Boot) }), root);
