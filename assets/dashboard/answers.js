// Answers of the API that a view shows, asked for again when events say that they may have changed.

import { useCallback, useLayoutEffect, useRef, useState } from "./preact.js";
import { get, query } from "./api.js";
import { listen } from "./live.js";

/** Items of one page of a list. */
const PAGE = 100;

/**
 * Calls `load` now, `every` so many milliseconds, and after events of which one `concerns` the view. While a call is
 * on its way, further ones wait for its end and count as one, so that a slow service is not asked ever more.
 */
function useLoaded(key, load, { every = 0, concerns = () => true } = {}) {
  const [answer, setAnswer] = useState({ key: null, data: null, error: null });
  const current = useRef({});
  current.current.load = load;
  current.current.concerns = concerns;
  const ask = useCallback(async () => {
    const mine = current.current;
    if (mine.asking === key) {
      mine.isDue = true;
      return;
    }
    mine.asked?.abort();
    const { signal } = (mine.asked = new AbortController());
    mine.asking = key;
    do {
      mine.isDue = false;
      const [data, error] = await mine.load(signal).then((found) => [found, null], (failed) => [null, failed]);
      if (signal.aborted) return;
      setAnswer((before) => ({ key, data: error && before.key === key ? before.data : data, error }));
    } while (mine.isDue);
    mine.asking = null;
  }, [key]);
  // Not after the next frame, as other effects: people wait for it.
  useLayoutEffect(() => {
    ask();
    const end = listen((events) => {
      if (!events.length || events.some(current.current.concerns)) ask();
    });
    const timer = every ? setInterval(ask, every) : null;
    return () => {
      end();
      clearInterval(timer);
      current.current.asked?.abort();
      current.current.asking = null;
    };
  }, [ask, every]);
  const isCurrent = answer.key === key;
  return { data: isCurrent ? answer.data : null, error: isCurrent ? answer.error : null, again: ask };
}

/** The answer of a path: `data` until there is a newer one, `error` if the last request failed, and `again` to ask. */
export function useAnswer(path, options) {
  return useLoaded(path, (signal) => get(path, signal), options);
}

/**
 * The first pages of a list, all of which are kept up to date. `more` reads one page more. It is null at the end of
 * the list.
 */
export function useList(path, parameters = {}, options = {}) {
  const key = query(path, { ...parameters, limit: PAGE });
  const wanted = useRef({ key, pages: 1 });
  if (wanted.current.key !== key) wanted.current = { key, pages: 1 };
  const load = async (signal) => {
    let items = [];
    let next;
    for (let page = 0; page < wanted.current.pages; page += 1) {
      const answer = await get(query(key, { after: next }), signal);
      items = items.concat(answer.items);
      // A list of events always has a next page. It is at its end once a page is not full.
      next = options.isFeed && answer.items.length < PAGE ? null : answer.next;
      if (!next) break;
    }
    return { items, next };
  };
  const { data, error, again } = useLoaded(key, load, options);
  const more = () => {
    wanted.current.pages += 1;
    again();
  };
  return { items: data?.items ?? null, more: data?.next ? more : null, error, again };
}
