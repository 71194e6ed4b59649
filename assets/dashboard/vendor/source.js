// What the dashboard uses of Preact and htm, in one file.
import { h } from "preact";
import htm from "htm";

export { render } from "preact";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export const html = htm.bind(h);
