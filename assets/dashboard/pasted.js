// The URLs in whatever people paste: lines, CSV, or a message with URLs in it. Must never drop or cut one in silence.

const URLS = /https?:\/\/[^\s<>"]+/gi;
/** Something that is meant as a URL and lacks its beginning. The service says so. */
const UNFINISHED = /(?<![\w/.@-])(?:www\.|(?:[\w-]+\.)+[a-z]{2,}\/)[^\s<>"]+/gi;
/** Where one URL ends and the next begins without a blank. */
const BETWEEN = /[,;|](?=https?:\/\/)/i;
/** Marks that end a sentence, or a part in bold or in quotes, rather than a URL. */
const MARKS = /[.,;:!?*'’”»]$/;
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

/** Without the marks of the sentence around it. A closing bracket belongs to the URL if its opening one does. */
function trimmed(url) {
  const last = url.at(-1);
  const open = BRACKETS[last];
  const isAround = open && url.split(last).length > url.split(open).length;
  return MARKS.test(url) || isAround ? trimmed(url.slice(0, -1)) : url;
}

/** The URLs of one line. A line that is nothing but URLs is taken as it is, and the service judges it. */
function ofLine(line) {
  if (!/\s/.test(line) && /^https?:/i.test(line)) return line.split(BETWEEN);
  const rest = line.replace(URLS, " ");
  const urls = [...line.matchAll(URLS)].flatMap(([url]) => url.split(BETWEEN)).map(trimmed);
  return [...urls, ...[...rest.matchAll(UNFINISHED)].map(([text]) => trimmed(text))];
}

/** The cells of a row of CSV. */
function cells(line, delimiter) {
  const found = [];
  let cell = "";
  let isQuoted = false;
  const letters = [...line];
  for (const [place, letter] of letters.entries()) {
    if (letter === '"') {
      if (isQuoted && letters[place + 1] === '"') cell += '"';
      isQuoted = !isQuoted;
    } else if (letter === delimiter && !isQuoted) {
      found.push(cell);
      cell = "";
    } else {
      cell += letter;
    }
  }
  return [...found, cell].map((text) => text.trim());
}

/** The delimiter and the column of the URLs, if a line is the header of a CSV. */
function columnOf(header) {
  for (const delimiter of [",", ";", "\t"]) {
    const column = cells(header, delimiter).findIndex((name) => name.toLowerCase() === "url");
    if (column >= 0) return { delimiter, column };
  }
  return null;
}

/**
 * The URLs of a text in their order, each with its line from 1. A line without any is taken as a whole, so that the
 * service can say what is wrong with it. Blank lines and the header of a CSV are left out.
 */
export function pasted(text) {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/)
    .map((line, place) => ({ text: line.trim(), line: place + 1 }));
  const [first, ...others] = lines.filter((line) => line.text);
  if (!first) return [];
  const csv = columnOf(first.text);
  if (csv) return others.map(({ text: row, line }) => ({ url: cells(row, csv.delimiter)[csv.column] ?? "", line }));
  return [first, ...others].flatMap((row) => {
    const urls = ofLine(row.text);
    return (urls.length ? urls : [row.text]).map((url) => ({ url, line: row.line }));
  });
}

/** "a:1, b:2" as an object. Throws an error with the fault as its message. */
export function labels(text) {
  const given = {};
  const parts = text.split(",").map((one) => one.trim());
  for (const part of parts.filter(Boolean)) {
    const colon = part.indexOf(":");
    if (colon < 1) throw new Error("A label has the form key:value.");
    const key = part.slice(0, colon).trim();
    if (Object.hasOwn(given, key)) throw new Error(`The label ${key} is given twice.`);
    given[key] = part.slice(colon + 1).trim();
  }
  return given;
}
