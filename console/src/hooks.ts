// Asking the server from a view: once, or again and again while the view is shown.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Asked<T> {
  value?: T;
  error?: string;
  busy: boolean;
  again: () => void;
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Asks when the view is shown and whenever `about` changes. `every` gives the milliseconds until it
 * is asked again, by the last answer; 0 for never.
 */
export function useAsked<T>(
  ask: () => Promise<T>,
  about: unknown[],
  every: (value: T | undefined) => number = () => 0,
): Asked<T> {
  const [state, setState] = useState<{ value?: T; error?: string; busy: boolean }>({ busy: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef({ ask, every });
  latest.current = { ask, every };
  const subject = JSON.stringify(about);
  const shown = useRef(subject);
  useEffect(() => {
    let ended = false;
    let timer = 0;
    const isNew = shown.current !== subject;
    shown.current = subject;
    setState((before) => (isNew ? { busy: true } : { ...before, busy: true }));
    const round = async (): Promise<void> => {
      let value: T | undefined;
      try {
        value = await latest.current.ask();
        if (!ended) setState({ value, busy: false });
      } catch (error) {
        if (!ended) setState((before) => ({ ...before, error: textOf(error), busy: false }));
      }
      const pause = latest.current.every(value);
      if (!ended && pause > 0) timer = window.setTimeout(() => void round(), pause);
    };
    void round();
    return () => {
      ended = true;
      window.clearTimeout(timer);
    };
  }, [subject, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, again };
}

export interface Action {
  busy: boolean;
  error: string | undefined;
  run: (work: () => Promise<void>) => void;
}

/** Something that the user sets off; one at a time. */
export function useAction(): Action {
  const [state, setState] = useState<{ busy: boolean; error?: string }>({ busy: false });
  const running = useRef(false);
  const run = (work: () => Promise<void>): void => {
    if (running.current) return;
    running.current = true;
    setState({ busy: true });
    work()
      .then(() => setState({ busy: false }))
      .catch((error: unknown) => setState({ busy: false, error: textOf(error) }))
      .finally(() => {
        running.current = false;
      });
  };
  return { busy: state.busy, error: state.error, run };
}
