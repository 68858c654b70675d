/** A person who can sign in, and the link that signs this person in. */
export interface Choice {
  readonly name: string;
  readonly groups: readonly string[];
  readonly href: string;
}

/** Returns the development issuer's sign-in page, which lists the people to choose from. */
export function signInPage(choices: readonly Choice[]): string {
  const links = choices.map(
    ({ name, groups, href }) =>
      `<a href="${escaped(href)}"><strong>${escaped(name)}</strong><span>${escaped(groups.join(', '))}</span></a>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Development sign-in</title>
<style>
  :root { color-scheme: light dark }
  * { box-sizing: border-box; margin: 0 }
  body { display: grid; place-content: center; gap: 1rem; min-height: 100dvh; padding: 1.5rem;
    background: light-dark(#f6f6f3, #121514); color: light-dark(#17201e, #e9eeec);
    font: 0.9375rem/1.5 Inter, system-ui, sans-serif }
  main { display: grid; gap: 0.75rem; width: min(24rem, 100vw - 3rem) }
  h1 { font-size: 1.375rem }
  p, span { color: light-dark(#55605d, #a3b0ac) }
  a { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; padding: 0.875rem 1rem;
    border: 1px solid light-dark(#7d8783, #7c8a86); border-radius: 0.625rem; color: inherit; text-decoration: none;
    background: light-dark(#fff, #1a1f1e) }
  a:hover, a:focus-visible { border-color: light-dark(#0b6b63, #63d2c3); outline: 2px solid light-dark(#0b6b63, #63d2c3) }
</style>
<main>
  <h1>Who do you want to be?</h1>
  <p>The development issuer. It runs on this machine alone and asks for no password.</p>
  ${links.join('\n  ')}
</main>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
