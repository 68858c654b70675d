// Prints how many tests were skipped, and as the last line `N passed, N failed`. Exits with 1 when anything failed or no test ran.
//
//   node .ci/count.mjs <the test runner's JSON report> <the steps of .ci/run, one on each line: passed or failed, time, command>
//
// A test file that fails before its first test counts as one failure, and so does each failed step except `npm test`, whose
// failures are in the report.
import { readFileSync } from 'node:fs';

const [, , reportPath, stepsPath] = process.argv;

function testFiles() {
  try {
    return JSON.parse(readFileSync(reportPath, 'utf8')).testResults;
  } catch {
    return [];
  }
}

const files = testFiles();
const tests = files.flatMap((file) => file.assertionResults);
const passed = tests.filter((test) => test.status === 'passed').length;
const failedTests = tests.filter((test) => test.status === 'failed').length;
const skipped = tests.length - passed - failedTests;
const brokenFiles = files.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
).length;
const failuresInReport = failedTests + brokenFiles;

const failedSteps = readFileSync(stepsPath, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('failed'));
const countedSteps = failedSteps.filter((line) => !(failuresInReport > 0 && / s {2}npm test /.test(line)));
const failed = failuresInReport + countedSteps.length;

if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
