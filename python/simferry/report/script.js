"use strict";
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const value = (row, i) => row.cells[i].textContent.trim();
  const count = table.parentNode.previousElementSibling.querySelector("output");
  const input = table.parentNode.previousElementSibling.querySelector("input");
  const chosen = new Map();
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const all = row.textContent.toLowerCase();
      const fits = words.every(w => all.includes(w)) && [...chosen].every(([i, v]) => v === "" || value(row, i) === v.slice(1));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", filter);
  heads.forEach((head, i) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keys = new Map(rows.map(row => [row, value(row, i)]));
      const as = text => parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
      const number = head.classList.contains("n");
      const order = [...rows].sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        return (up ? 1 : -1) * (number ? as(x) - as(y) : x.localeCompare(y));
      });
      body.append(...order);
    });
    if (!head.hasAttribute("data-key")) return;
    const values = [...new Set(rows.map(row => value(row, i)))];
    if (values.length < 2 || values.length > 60) return;
    const select = document.createElement("select");
    select.ariaLabel = "rows of one " + head.textContent;
    select.append(new Option("all", ""), ...values.map(one => new Option(one, "=" + one)));
    select.addEventListener("change", () => { chosen.set(i, select.value); filter(); });
    head.append(select);
  });
  const cells = row => [...row.cells].map(cell => (cell.querySelector("button") || cell).textContent.trim());
  const shown = () => [cells(table.tHead.rows[0]), ...[...body.rows].filter(row => !row.hidden).map(cells)];
  const csv = () => shown().map(row => row.map(one => /[",\n]/.test(one) ? '"' + one.replaceAll('"', '""') + '"' : one).join(",")).join("\n");
  const special = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"};
  const tex = one => one.replace(/[\\~^&%$#_{}]/g, c => special[c] || "\\" + c).replaceAll("\u2212", "$-$");
  const latex = () => {
    const all = shown().map(row => "  " + row.map(tex).join(" & ") + " \\\\");
    const kinds = heads.map(head => head.classList.contains("n") ? "r" : "l").join("");
    return ["\\begin{tabular}{" + kinds + "}", "  \\hline", all[0], "  \\hline", ...all.slice(1), "  \\hline", "\\end{tabular}", ""].join("\n");
  };
  const save = (content, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type: "text/plain"}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const [name, make, file] of [["CSV", csv, "table.csv"], ["LaTeX", latex, "table.tex"]]) {
    const button = document.createElement("button");
    button.textContent = name;
    button.addEventListener("click", () => save(make(), file));
    count.after(button);
  }
}
const unpacked = async text => {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
};
for (const chooser of document.querySelectorAll(".chooser")) {
  const select = chooser.querySelector("select"), view = chooser.querySelector(".view"), pack = chooser.querySelector("template");
  const pieces = [view.innerHTML];
  select.addEventListener("change", async () => {
    const i = select.selectedIndex;
    if (i > 0 && pieces.length === 1) {
      const more = (await unpacked(pack.content.textContent)).split("\x1e");
      if (pieces.length === 1) pieces.push(...more);
    }
    if (select.selectedIndex === i) view.innerHTML = pieces[i];
  });
  chooser.querySelector(".only").hidden = true;
}
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
