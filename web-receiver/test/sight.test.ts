/** Whether the page is visible: it must not use a code before the user sees it. */
import { afterEach, expect, test, vi } from "vitest";
import { InSight, isInSight } from "../src/sight.ts";

afterEach(() => vi.unstubAllGlobals());

/** A document whose state the test changes. */
class Page extends EventTarget {
  visibilityState = "hidden";
  prerendering = false;

  become(visibilityState: string, prerendering = false): void {
    Object.assign(this, { visibilityState, prerendering });
    this.dispatchEvent(new Event("visibilitychange"));
    this.dispatchEvent(new Event("prerenderingchange"));
  }
}

function opened(): Page {
  const page = new Page();
  vi.stubGlobal("document", page);
  return page;
}

test.each([
  ["visible", false, true],
  ["hidden", false, false],
  ["visible", true, false],
])("a page that is %s, preloaded: %s", (visibility, prerendering, expected) => {
  opened().become(visibility, prerendering);
  expect(isInSight()).toBe(expected);
});

test("what waits is called when the page becomes visible, unless it is forgotten", () => {
  const page = opened();
  const sight = new InSight();
  const [always, act] = [vi.fn(), vi.fn()];
  sight.watch(always);
  expect([sight.call(act), sight.isAwaited]).toEqual([false, true]);
  page.become("visible", true);
  expect(act).not.toHaveBeenCalled();
  page.become("visible");
  expect(act).toHaveBeenCalled();
  expect(always).toHaveBeenCalled();
  act.mockClear();
  sight.forget();
  page.become("visible");
  expect(act).not.toHaveBeenCalled();
});
