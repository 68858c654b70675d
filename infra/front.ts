import { Fn } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Domain } from './config.ts';

export interface FrontProps {
  /** The name that the distribution answers to, its certificate and its web ACL. */
  readonly domain: Domain;
  readonly api: HttpApi;
}

/**
 * A CloudFront distribution in front of the API, for its web ACL: an HTTP API can have none of its own. It caches
 * nothing. The API's own endpoint stays on behind it, and the addresses that the API sees are CloudFront's. It writes no
 * log: CloudFront's standard log holds query strings and referrers, and so the sign-in codes of the console and whatever
 * token a client wrongly puts there. The log whose fields can be chosen can only be created in us-east-1.
 */
export class Front extends Construct {
  /** What the DNS record of the domain points to. */
  readonly domainTarget: string;

  constructor(scope: Construct, id: string, { domain, api }: FrontProps) {
    super(scope, id);
    const distribution = new cloudfront.Distribution(this, 'Default', {
      comment: 'API keys for Deployments',
      domainNames: [domain.name],
      certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
      webAclId: domain.webAclArn,
      minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
      httpVersion: cloudfront.HttpVersion.HTTP2_AND_3,
      defaultBehavior: {
        origin: new HttpOrigin(Fn.select(2, Fn.split('/', api.apiEndpoint)), {
          protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
          originSslProtocols: [cloudfront.OriginSslPolicy.TLS_V1_2],
        }),
        allowedMethods: cloudfront.AllowedMethods.ALLOW_ALL,
        // A cached answer outlives a revocation, and another caller could get it.
        cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
        // API Gateway chooses the API by the Host header, which must be its own.
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
