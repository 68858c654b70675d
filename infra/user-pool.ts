import { Aws, Duration, Fn, RemovalPolicy } from 'aws-cdk-lib';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { SignIn } from './config.ts';

export interface UserPoolProps {
  /** Where people return to with their code: an https URL. */
  readonly callbackUrl: string;
  /** Where people are led after they have signed out: an https URL. */
  readonly signedOutUrl: string;
  /** Whether the people in it outlive the stack. */
  readonly retain: boolean;
}

/** The people of a stack that was given no issuer: nobody signs up, administrators invite. */
export class UserPool extends Construct implements SignIn {
  readonly issuer: string;
  readonly audience: string[];
  readonly groupsClaim = 'cognito:groups';
  readonly adminGroup = 'administrators';
  readonly consoleClientId: string;
  /** The domain of its sign-in pages, where a code is swapped for tokens too. */
  readonly consoleOrigins: string[];
  /** The commands that make the first administrator, in order. */
  readonly firstAdministrator: readonly string[];

  constructor(scope: Construct, id: string, props: UserPoolProps) {
    super(scope, id);
    const pool = new cognito.UserPool(this, 'Default', {
      selfSignUpEnabled: false,
      signInAliases: { email: true },
      signInCaseSensitive: false,
      accountRecovery: cognito.AccountRecovery.EMAIL_ONLY,
      passwordPolicy: { minLength: 12, tempPasswordValidity: Duration.days(3) },
      mfa: cognito.Mfa.OPTIONAL,
      mfaSecondFactor: { otp: true, sms: false },
      deletionProtection: props.retain,
      removalPolicy: props.retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    acknowledge(pool, {
      'AwsSolutions-COG1':
        'Twelve characters at least, and no rules of composition: NIST SP 800-63B, section 5.1.1.2, advises against them.',
      'AwsSolutions-COG2':
        'Each person may add a second factor. A pool that demands one leaves the invited first administrator outside ' +
        'until they have an app for it; teams that demand it have an issuer of their own, and set `issuer`.',
      'AwsSolutions-COG8':
        'The Plus plan is paid for by the active user. Nobody signs up by themselves: administrators invite.',
    });
    pool.addGroup('Administrators', { groupName: this.adminGroup });
    // A prefix must be unique in the Region: the last part of the stack's own UUID makes it so.
    const stackUuid = Fn.select(2, Fn.split('/', Aws.STACK_ID));
    const domain = pool.addDomain('Domain', {
      cognitoDomain: { domainPrefix: `deployment-keys-${Fn.select(4, Fn.split('-', stackUuid))}` },
    });
    const client = pool.addClient('Console', {
      // A public client: a page can keep no secret, it proves itself by PKCE.
      generateSecret: false,
      preventUserExistenceErrors: true,
      accessTokenValidity: Duration.hours(1),
      // For the holder of AWS credentials alone: a token from the command line, where there is no browser.
      authFlows: { adminUserPassword: true },
      supportedIdentityProviders: [cognito.UserPoolClientIdentityProvider.COGNITO],
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL, cognito.OAuthScope.PROFILE],
        callbackUrls: [props.callbackUrl],
        logoutUrls: [props.signedOutUrl],
      },
    });

    this.issuer = pool.userPoolProviderUrl;
    this.consoleClientId = client.userPoolClientId;
    this.consoleOrigins = [domain.baseUrl()];
    // Cognito's access tokens have no `aud`; API Gateway then compares `client_id`.
    this.audience = [client.userPoolClientId];

    const who = `--region ${Aws.REGION} --user-pool-id ${pool.userPoolId} --username you@example.com`;
    this.firstAdministrator = [
      `aws cognito-idp admin-create-user ${who} --user-attributes Name=email,Value=you@example.com Name=email_verified,Value=true`,
      `aws cognito-idp admin-add-user-to-group ${who} --group-name ${this.adminGroup}`,
    ];
  }
}
