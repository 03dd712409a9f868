"""The look of a report: readable in light and dark, narrow and wide, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --ground: #ffffff; --band: #f4f6f8;
  --accent: #0060a8; --warn: #fff4d6; --warn-line: #bf8700;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --faint: #a3adb8; --line: #3d444d; --ground: #14181d; --band: #1e242b;
    --accent: #6cb6ff; --warn: #3a2f12; --warn-line: #d4a72c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 72rem; color: var(--text);
  background: var(--ground); font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.25rem; margin: 2.2rem 0 0.7rem; padding-bottom: 0.25rem;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 50rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
nav ul { padding: 0; margin: 0.75rem 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; }
nav li { list-style: none; }
.faint { color: var(--faint); }
.warnings {
  background: var(--warn); border-left: 4px solid var(--warn-line); padding: 0.5rem 1rem;
  margin: 1rem 0;
}
.warnings ul { margin: 0.25rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding: 0 0 0.4rem; }
.hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { text-align: right; white-space: nowrap; }
thead th { text-align: right; vertical-align: bottom; border-bottom: 2px solid var(--line); }
tbody th, thead th:first-child {
  text-align: left; font-weight: 500; white-space: nowrap; position: sticky; left: 0;
  background: var(--ground);
}
tbody tr:nth-child(even) th, tbody tr:nth-child(even) td { background: var(--band); }
tbody th.part {
  background: var(--ground); font-weight: 700; padding-top: 0.8rem; position: static;
}
tbody th.inner { padding-left: 1.7rem; font-weight: 400; }
.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
.words thead th { text-align: left; }
.panels {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem;
}
.tables { display: flex; flex-wrap: wrap; gap: 0 2.5rem; }
.tables > div { max-width: 100%; }
.tables p { max-width: 25rem; font-size: 0.9rem; }
.tables h3 { margin-bottom: 0; }
figure { margin: 0.75rem 0; }
figure img {
  display: block; width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line);
  border-radius: 6px;
}
.wide img { min-width: 40rem; }
figcaption { color: var(--faint); font-size: 0.9rem; margin-top: 0.35rem; }
dt { font-weight: 600; margin-top: 0.6rem; }
dd { margin: 0 0 0 1rem; max-width: 50rem; }
footer { margin-top: 2.5rem; color: var(--faint); font-size: 0.9rem; }
@media (max-width: 30rem) {
  body { padding: 1rem 0.75rem 2rem; font-size: 15px; }
  h1 { font-size: 1.35rem; }
  tbody th { white-space: normal; min-width: 7.5rem; max-width: 9rem; }
  th, td { padding: 0.25rem 0.45rem; }
}
@media print {
  :root {
    color-scheme: light; --text: #000000; --faint: #333333; --line: #999999; --ground: #ffffff;
    --band: #ffffff; --accent: #000000; --warn: #ffffff; --warn-line: #000000;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  td, tbody th { white-space: normal; position: static; }
  .words td { min-width: 0; }
  table { font-size: 8pt; }
  .wide img { min-width: 0; }
  figure, tr, .warnings { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
