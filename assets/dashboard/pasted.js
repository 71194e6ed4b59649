// The URLs in whatever people paste: lines, CSV, or a message with URLs in it.

const URLS = /https?:\/\/[^\s<>"'`|]+/gi;
/** Marks that end a sentence rather than a URL. */
const MARKS = /[.,;:!?]$/;
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

/** Without the marks of the sentence around it. A closing bracket belongs to the URL if its opening one does. */
function trimmed(url) {
  const last = url.at(-1);
  const open = BRACKETS[last];
  const isAround = open && url.split(last).length > url.split(open).length;
  return MARKS.test(url) || isAround ? trimmed(url.slice(0, -1)) : url;
}

/**
 * The URLs of a text in their order, each with its line from 1. A line without any is taken as a whole, so that the
 * service can say what is wrong with it. Blank lines and the header of a CSV are left out.
 */
export function pasted(text) {
  const found = [];
  text.split(/\r?\n/).forEach((line, place) => {
    const urls = [...line.matchAll(URLS)].map(([url]) => trimmed(url));
    const rest = line.trim();
    const isHeader = place === 0 && /(^|[,;\t])"?url"?($|[,;\t])/i.test(rest);
    if (urls.length) found.push(...urls.map((url) => ({ url, line: place + 1 })));
    else if (rest && !isHeader) found.push({ url: rest, line: place + 1 });
  });
  return found;
}

/** "a:1, b:2" as an object. Null if a part has no colon. */
export function labels(text) {
  const given = {};
  const parts = text.split(",").map((one) => one.trim());
  for (const part of parts.filter(Boolean)) {
    const colon = part.indexOf(":");
    if (colon < 1) return null;
    given[part.slice(0, colon).trim()] = part.slice(colon + 1).trim();
  }
  return given;
}
