/** Style and script of the HTML page. The page is complete without the script and makes no requests. */

export const STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1c2330;--dim:#687385;--line:#e3e7ed;--hover:#f3f6fa;
--empty:#e9edf2;--accent:#0b7a4b;--text-type:#2f9e6e;--number:#3b7ddd;--bool:#8a5cd6;--time:#d9822b;--id:#5b8a99;
--nest:#7a879b;--bytes:#a5734b;--nothing:#b9c1cd;--rare:#c2477f;--warn:#a15c00;--chip:#eef2f6}
@media(prefers-color-scheme:dark){:root{--page:#11151b;--card:#191f28;--text:#e4e9f0;--dim:#93a0b4;--line:#2a323f;
--hover:#1f2733;--empty:#27303d;--accent:#4cc38a;--text-type:#3fae7e;--number:#5b97ea;--bool:#a07fe0;--time:#e09a4c;
--id:#6fa3b3;--nest:#8794aa;--bytes:#b98960;--nothing:#55606f;--rare:#d8659b;--warn:#e3a74f;--chip:#232c38}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:inherit;text-decoration:none}
code,.f,.t,.x,nav a,h2{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
header{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:4px 20px;align-items:center;padding:12px 24px;
background:var(--card);border-bottom:1px solid var(--line)}
h1{margin:0;font-size:17px}
header p{margin:0;color:var(--dim);flex:1}
input{font:inherit;width:240px;padding:5px 10px;border:1px solid var(--line);border-radius:7px;background:var(--page);
color:inherit}
input:focus{outline:2px solid var(--accent);outline-offset:-1px}
.columns{display:grid;grid-template-columns:250px minmax(0,1fr);gap:24px;max-width:1500px;margin:0 auto;padding:20px 24px}
nav{position:sticky;top:76px;align-self:start;max-height:calc(100vh - 96px);overflow:auto;font-size:12.5px}
nav h3{margin:14px 0 4px;font-size:11px;letter-spacing:.06em;color:var(--dim)}
nav h3:first-child{margin-top:0}
nav a{display:flex;justify-content:space-between;gap:8px;padding:3px 8px;border-radius:6px}
nav a span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
nav a:hover{background:var(--empty)}
nav small,.dim{color:var(--dim)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 14px;color:var(--dim);font-size:12.5px}
.legend i{display:inline-block;width:10px;height:10px;margin-right:6px;border-radius:3px}
details.c{margin:0 0 16px;background:var(--card);border:1px solid var(--line);border-radius:10px;scroll-margin-top:76px}
details.c>summary{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;padding:12px 18px;cursor:pointer;
list-style:none}
summary::-webkit-details-marker{display:none}
details.c>summary::before{content:"▸";color:var(--dim)}
details.c[open]>summary::before{content:"▾"}
h2{margin:0;font-size:15px;font-weight:600;overflow-wrap:anywhere}
.chip{padding:0 8px;border-radius:20px;background:var(--chip);font-size:12px}
.chip.no{color:var(--warn)}
.note{margin:0;padding:0 18px 12px;color:var(--dim);font-size:13px}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}
th{padding:6px 10px;border-top:1px solid var(--line);text-align:left;font-size:11px;font-weight:500;color:var(--dim)}
td{padding:4px 10px;border-top:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child{padding-left:18px}
tbody tr:hover{background:var(--hover)}
.f{width:26%;min-width:180px;font-size:13px;overflow-wrap:anywhere}
.f span{display:block;padding-left:calc(var(--d)*16px)}
.f .k{color:var(--dim)}
.b{width:24%;min-width:150px}
.bar{display:flex;height:12px;margin-top:4px;border-radius:4px;overflow:hidden;background:var(--empty)}
.bar i{min-width:2px;height:100%}
.bar i+i{border-left:1px solid var(--card)}
.bar i.more{opacity:.55}
.p{width:64px;text-align:right;color:var(--dim);font-variant-numeric:tabular-nums;white-space:nowrap}
.p.all{color:inherit}
.t{min-width:150px;font-size:12.5px}
.t small{color:var(--dim);white-space:nowrap}
.x{min-width:220px;font-size:12px;color:var(--dim);overflow-wrap:anywhere}
.x q{display:inline-block;max-width:100%;margin-right:12px;quotes:none}
pre{margin:0;padding:0 18px 14px;overflow:auto;font-size:12px}
.opt{padding:0 0 4px}
.opt summary{padding:4px 18px 10px;color:var(--dim);font-size:13px;cursor:pointer}
.k-text{background:var(--text-type)}.k-number{background:var(--number)}.k-bool{background:var(--bool)}
.k-time{background:var(--time)}.k-id{background:var(--id)}.k-nest{background:var(--nest)}.k-bytes{background:var(--bytes)}
.k-null{background:repeating-linear-gradient(135deg,var(--nothing) 0 3px,var(--empty) 3px 6px)}
.k-rare{background:var(--rare)}.k-none{background:var(--empty)}
[hidden]{display:none!important}
footer{padding:4px 24px 30px;text-align:center;color:var(--dim);font-size:12.5px}
@media(max-width:900px){.columns{grid-template-columns:minmax(0,1fr);padding:14px}nav{display:none}}
@media(max-width:600px){header{position:static}thead{display:none}
tbody tr td:nth-child(n){width:auto;min-width:0;padding:0;border:0}
tr{display:grid;grid-template-columns:minmax(0,1fr) auto;padding:5px 18px;border-top:1px solid var(--line)}
.p{grid-area:1/2}.b,.t,.x{grid-column:1/-1}td.x:empty{display:none}}
@media print{nav,input{display:none}.columns{display:block}header{position:static}}
`;

/** Filters fields and collections by a part of their name, and opens the section that a link points to. */
export const SCRIPT = `
const search=document.querySelector("input");
const sections=[...document.querySelectorAll("details.c")];
const links=[...document.querySelectorAll("nav a")];
const open=sections.map((s)=>s.open);
search.hidden=false;
search.addEventListener("input",()=>{
const words=search.value.trim().toLowerCase();
sections.forEach((section,i)=>{
const whole=section.dataset.name.toLowerCase().includes(words);
let found=0;
for(const row of section.querySelectorAll("tbody tr")){
const fits=whole||row.dataset.path.toLowerCase().includes(words);
row.hidden=!fits;
if(fits)found++;
}
section.hidden=!whole&&found===0;
links[i].hidden=section.hidden;
section.open=words===""?open[i]:true;
});
});
const reveal=()=>{const target=location.hash&&document.getElementById(location.hash.slice(1));
if(target){target.open=true;target.scrollIntoView();}};
addEventListener("hashchange",reveal);
reveal();
`;
