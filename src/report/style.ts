/** How the page looks: light and dark, wide and narrow. Contrast of text is 4.5 to 1 or more, of lines and bars 3 to 1. */
export const style = `
:root{color-scheme:light dark;--fg:#1b1f24;--soft:#57606a;--bg:#f6f7f9;--card:#fff;--line:#d8dde3;--code:#f0f2f5;
--sockets:#1f5fd0;--waiting:#b4540a;--read:#1a7f4b;--drained:#1f5fd0;--closed:#b4540a;--warn:#8a3b00;--warn-bg:#fff4e8;--well:#116237;--well-bg:#eaf7ef}
@media (prefers-color-scheme:dark){:root{--fg:#e8ebef;--soft:#a3adb8;--bg:#111418;--card:#1a1f25;--line:#343c46;--code:#12161b;
--sockets:#6ea8ff;--waiting:#f2a35e;--read:#4cc38a;--drained:#6ea8ff;--closed:#f2a35e;--warn:#ffc48a;--warn-bg:#33230f;--well:#8fe0b4;--well-bg:#10291c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem 1.25rem 2rem;font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--fg);background:var(--bg);overflow-wrap:anywhere}
h1{margin:.1rem 0 .2rem;font-size:1.6rem;line-height:1.25}h2{margin:0 0 .75rem;font-size:1.05rem;line-height:1.3}
p,dl,ul,ol,dd,figure{margin:0;padding:0}ul,ol{list-style:none}
.brand{color:var(--sockets);font-weight:650;letter-spacing:.02em}.meta,.note,.none{color:var(--soft);font-size:.875rem}
main{display:grid;gap:1rem;margin-top:1.25rem;grid-template-columns:minmax(0,1fr)}
figure,section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.25rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(9rem,45%),1fr));gap:.75rem}
.tiles>div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem}
dt,small{color:var(--soft);font-size:.8125rem}dd b{display:block;font-size:1.6rem;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.verdict{border-radius:.6rem;padding:.8rem 1.1rem;background:var(--warn-bg);color:var(--warn);border:1px solid currentColor}.verdict.well{background:var(--well-bg);color:var(--well)}
.verdict li+li{margin-top:.25rem}
.pair{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
.plot{display:grid;grid-template-columns:auto minmax(0,1fr);column-gap:.6rem;padding-top:.5rem;font-size:.75rem;color:var(--soft)}
.plot svg{width:100%;height:14rem;display:block;overflow:visible}
.y{position:relative;min-width:1.6rem}.y span{position:absolute;right:0;transform:translateY(50%);font-variant-numeric:tabular-nums}
.x{grid-column:2;position:relative;height:1.6rem}.x span{position:absolute;top:.4rem;transform:translateX(-50%);white-space:nowrap}
.grid,.axis{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
.line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.line.sockets{stroke:var(--sockets)}.line.waiting{stroke:var(--waiting);stroke-dasharray:5 3}.fill-sockets{fill:var(--sockets);opacity:.12}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin-top:.6rem;font-size:.875rem}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.45rem;vertical-align:-.05rem}
.key.sockets{height:0;border-top:3px solid var(--sockets);border-radius:0;width:1.2rem;vertical-align:.22rem}
.key.waiting{height:0;border-top:3px dashed var(--waiting);border-radius:0;width:1.2rem;vertical-align:.22rem}
.key.read{background:var(--read)}.key.drained{background:var(--drained)}.key.closed{background:var(--closed)}
.bar{width:100%;height:1.6rem;display:block;border-radius:.35rem}
rect.read{fill:var(--read)}rect.drained{fill:var(--drained)}rect.closed{fill:var(--closed)}rect.empty{fill:var(--line)}
.bar rect:not(.empty){stroke:var(--card);stroke-width:2;vector-effect:non-scaling-stroke}
.shares{display:grid;gap:.2rem;margin:.8rem 0 0;font-size:.9rem}.shares b{display:inline-block;min-width:3.6em;font-variant-numeric:tabular-nums}
.columns{position:relative;padding-top:1.4rem;font-size:.75rem;color:var(--soft)}
.columns svg{width:100%;height:9rem;display:block}.columns rect{fill:var(--sockets)}
.columns rect.wait-3,.columns rect.wait-4,.columns rect.wait-5{fill:var(--waiting)}
.counts{position:absolute;left:0;right:0;top:1.4rem;height:9rem}
.counts span{position:absolute;width:calc(100%/6);text-align:center;color:var(--fg);font-variant-numeric:tabular-nums}
.steps{display:grid;grid-template-columns:repeat(6,1fr);text-align:center;padding-top:.35rem;line-height:1.25}.steps span{padding:0 .15rem;overflow-wrap:normal}
figure .note{margin-top:.8rem}
table{border-collapse:collapse;width:100%;font-size:.875rem;margin-top:.9rem}
caption{text-align:left;color:var(--soft);font-size:.8125rem;padding-bottom:.2rem}
td,th{padding:.35rem .5rem;border-bottom:1px solid var(--line);text-align:right;font-weight:400;vertical-align:baseline;font-variant-numeric:tabular-nums}
thead th{color:var(--soft);font-size:.8125rem}td,thead th{white-space:nowrap}th:first-child{text-align:left;padding-left:0}td:last-child,th:last-child{padding-right:0}tbody tr:last-child>*{border-bottom:0}
details{margin-top:.8rem;font-size:.875rem}summary{cursor:pointer;color:var(--soft);width:fit-content}
summary:focus-visible{outline:2px solid var(--sockets);outline-offset:3px;border-radius:.2rem}
.leaks{margin-top:.8rem;display:grid;gap:.9rem}.leaks>li{border-left:3px solid var(--waiting);padding-left:.9rem}
.place span,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875em}
pre{margin:.4rem 0;padding:.6rem .8rem;background:var(--code);border-radius:.4rem;white-space:pre-wrap}
.origins th small{display:block}.origins{margin-top:0}.origins th:first-child{min-width:10rem}.origins td{white-space:nowrap}
footer{margin-top:1.25rem;color:var(--soft);font-size:.8125rem}
@media (max-width:56rem){.origins,.origins tbody,.origins tr,.origins th,.origins td{display:block}
.origins thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.origins tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(6.5rem,1fr));gap:.4rem .9rem;padding:.8rem 0;border-bottom:1px solid var(--line)}
.origins tr:first-child{padding-top:0}.origins tr:last-child{border:0;padding-bottom:0}.origins tbody th{grid-column:1/-1}
.origins td,.origins tbody th{border:0;padding:0;text-align:left}.origins td::before{content:attr(data-name);display:block;color:var(--soft);font-size:.75rem}}
@media (max-width:30rem){body{padding:1rem .75rem 1.5rem}figure,section{padding:.9rem}.plot svg{height:11rem}dd b{font-size:1.35rem}h1{font-size:1.35rem}}
@media print{body{background:#fff;max-width:none}figure,section,.tiles>div{break-inside:avoid}}
`
