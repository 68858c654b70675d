// Prints the failed tests, the number of skipped tests, and `N passed, N failed` as the last line. Exits with 1 if anything
// failed or if no test ran.
//
//   node .ci/count.mjs <steps>
//
// steps    the steps of .ci/run, one per line: passed or failed, time, command
//
// It counts every test in a step's report (`--outputFile.json=`), and every test file that fails before its first test as one
// failure. Any other failed step counts as one failure, even a test step whose report contains no failure.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n')) {
  const report = countsOf(line.match(/--outputFile\.json=(\S+)/)?.[1]);
  total.passed += report.passed;
  total.skipped += report.skipped;
  total.failed += line.startsWith('failed') ? Math.max(report.failed, 1) : report.failed;
}
for (const failure of failures) console.log(`failed: ${failure}`);
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

/**
 * Counts the tests in a report, and adds the failed ones to `failures`. All counts are 0 if the step has no report, or if
 * the test runner wrote none.
 */
function countsOf(path) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of read(path)) {
    const tests = file.assertionResults;
    const count = (status) => tests.filter((test) => test.status === status).length;
    counts.passed += count('passed');
    counts.skipped += tests.length - count('passed') - count('failed');
    counts.failed += file.status === 'failed' ? Math.max(count('failed'), 1) : count('failed');
    const path = relative(process.cwd(), file.name);
    const failed = tests
      .filter((test) => test.status === 'failed')
      .map((test) => `${path}: ${test.fullName}`);
    failures.push(...(file.status === 'failed' && failed.length === 0 ? [`${path}: no test ran`] : failed));
  }
  return counts;
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).testResults;
  } catch {
    return [];
  }
}
