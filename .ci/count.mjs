// Prints how many tests were skipped, and as the last line `N passed, N failed`. Exits with 1 when anything failed or no test ran.
//
//   node .ci/count.mjs <steps>
//
// steps    the steps of .ci/run, one on each line: passed or failed, time, command
//
// Each test counts that is in the report of a step (`--outputFile.json=`), and so does each test file that fails before its
// first test. Any other failed step counts as one failure, also a test step whose report has no failure.
import { readFileSync } from 'node:fs';

const total = { passed: 0, failed: 0, skipped: 0 };
for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n')) {
  const report = countsOf(line.match(/--outputFile\.json=(\S+)/)?.[1]);
  total.passed += report.passed;
  total.skipped += report.skipped;
  total.failed += line.startsWith('failed') ? Math.max(report.failed, 1) : report.failed;
}
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

/** Counts the tests of a report; none for a step without a report, and where the test runner wrote none. */
function countsOf(path) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of read(path)) {
    const tests = file.assertionResults;
    const count = (status) => tests.filter((test) => test.status === status).length;
    counts.passed += count('passed');
    counts.skipped += tests.length - count('passed') - count('failed');
    counts.failed += file.status === 'failed' ? Math.max(count('failed'), 1) : count('failed');
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
