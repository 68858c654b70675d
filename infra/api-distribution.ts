import { Fn } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge-findings.ts';
import type { Domain } from './settings.ts';

export interface ApiDistributionProps {
  /** The distribution's domain name and certificate. */
  readonly domain: Domain;
  readonly webAclArn: string;
  readonly api: HttpApi;
}

/**
 * A CloudFront distribution with a web ACL in front of the API, because an HTTP API cannot have a web ACL. The
 * distribution does not cache anything. The API's own endpoint stays reachable, and the API sees CloudFront's
 * addresses. The distribution does not write a log: CloudFront's standard log contains query strings and referrers,
 * which include the console's sign-in codes and any tokens that clients put there by mistake. A log with only selected
 * fields would have to be created in us-east-1.
 */
export class ApiDistribution extends Construct {
  /** The target for the domain's DNS record. */
  readonly domainTarget: string;

  constructor(scope: Construct, id: string, { domain, webAclArn, api }: ApiDistributionProps) {
    super(scope, id);
    const distribution = new cloudfront.Distribution(this, 'Default', {
      comment: 'API keys for Deployments',
      domainNames: [domain.domainName],
      certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
      webAclId: webAclArn,
      minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
      httpVersion: cloudfront.HttpVersion.HTTP2_AND_3,
      defaultBehavior: {
        origin: new HttpOrigin(Fn.select(2, Fn.split('/', api.apiEndpoint)), {
          protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
          originSslProtocols: [cloudfront.OriginSslPolicy.TLS_V1_2],
        }),
        allowedMethods: cloudfront.AllowedMethods.ALLOW_ALL,
        // A cached response would stay valid after a revocation, and another caller could get it.
        cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
        // API Gateway selects the API by the Host header, so the header must contain the API's own host name.
        originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
      },
    });
    acknowledge(distribution, {
      'AwsSolutions-CFR3':
        'The standard log holds query strings and referrers, in which tokens and sign-in codes can stand. The access log of ' +
        'the API has each request that gets through, and the log of the web ACL, which is yours, those that do not.',
      'AwsSolutions-CFR1':
        'Pipelines run wherever their CI vendor has machines. A rule on countries belongs to the web ACL, which is yours.',
    });
    this.domainTarget = distribution.distributionDomainName;
  }
}
