import { describe, expect, it } from 'vitest';
import { isShared, type PresetName, presetOfUrl } from '../../functions/domain/issuer-presets.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const EKS = 'https://oidc.eks.eu-west-1.amazonaws.com';
const AWS = 'tokens.sts.global.api.aws';

describe('presetOfUrl and isShared', () => {
  it.each<[url: string, preset: PresetName, shared: boolean]>([
    [GITHUB, 'github', true],
    [`${GITHUB}/acme`, 'github', true],
    ['https://gitlab.com', 'gitlab', true],
    ['https://agent.buildkite.com', 'buildkite', true],
    ['https://oidc.circleci.com/org/01234567-89ab-cdef-0123-456789abcdef', 'circleci', false],
    [`${EKS}/id/EXAMPLED539D4633E53DE1B71EXAMPLE`, 'eks', false],
    ['https://oidc.eks.cn-north-1.amazonaws.com.cn/id/a1B2', 'eks', false],
    [`https://3f1c9a36-1b2c-4d3e-8f90-a1b2c3d4e5f6.${AWS}`, 'aws', false],
  ])('%s is an issuer of the preset %s; its customers share the URL: %s', (url, preset, shared) => {
    expect([presetOfUrl(url), isShared(url)]).toEqual([preset, shared]);
    const inAnotherUrl = `https://ci.test/${url}`;
    expect([presetOfUrl(inAnotherUrl), isShared(inAnotherUrl)]).toEqual([undefined, false]);
  });

  it.each([
    'https://ci.test',
    `${GITHUB}.ci.test`,
    'https://gitlab.com/acme',
    'https://gitlab.com.ci.test',
    'https://agent.buildkite.com/acme',
    'https://agent.buildkite.com.ci.test',
    'https://oidc.circleci.com',
    EKS,
    `${EKS}/id/`,
    `${EKS}/id/a-b`,
    `${EKS}/id/a1B2/c`,
    'https://oidc.eks.eu_west_1.amazonaws.com/id/a1B2',
    `https://${AWS}`,
    `https://a.b.${AWS}`,
    `https://a.${AWS}/b`,
  ])('the URL %s determines no preset, and is not shared', (url) => {
    expect([presetOfUrl(url), isShared(url)]).toEqual([undefined, false]);
  });
});
