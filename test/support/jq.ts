/**
 * What the documents ask of jq, as a function of a shell, for machines that have none: paths, `==`, `| length`, several with
 * a comma, `-r` and `-e`.
 */
export const JQ = `jq() {
  node -e '
    const it = JSON.parse(require("fs").readFileSync(0));
    const [filter, ...flags] = process.argv.slice(1).reverse();
    const found = filter.split(", ").map((path) => eval("it" + path.replace(" | length", ".length")) ?? null);
    const isRaw = flags.includes("-r");
    for (const one of found) console.log(isRaw && typeof one === "string" ? one : JSON.stringify(one));
    if (flags.includes("-e") && [null, false].includes(found.at(-1))) process.exitCode = 1;
  ' -- "$@"
}`;
