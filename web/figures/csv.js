// A table as CSV (RFC 4180), made in the page itself.

// Columns have a `key` or `saved` name and `of(row)`.
export function csvOf(columns, picked) {
  const lines = [columns.map((column) => field(column.saved || column.key))];
  for (const row of picked) lines.push(columns.map((column) => field(column.of(row))));
  return lines.map((line) => line.join(",") + "\r\n").join("");
}

function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  // A spreadsheet would run a text that begins so as a formula.
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

export function saveAs(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
