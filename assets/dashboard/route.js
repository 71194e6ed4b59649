// Views by the part of the address after `#`, so that each view has a URL of its own.

/** The path and the parameters that the address names now. */
export function route() {
  // A parameter can be a URL with a question mark of its own.
  const [path, ...search] = (location.hash.slice(1) || "/").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { path, parts, parameters: new URLSearchParams(search.join("?")) };
}

/** Goes to a view. Parameters without a value are left out. */
export function go(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const search = new URLSearchParams(given).toString();
  location.hash = search ? `${path}?${search}` : path;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
