import { Aws, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { COMMAND_LINE_CALLBACK } from '../functions/domain/command-line.ts';
import { acknowledge } from './acknowledge-findings.ts';
import type { SignIn } from './settings.ts';
import { stackSuffix } from './stack-suffix.ts';

export interface UserPoolProps {
  /** The https URL to which the sign-in page sends the authorization code. */
  readonly callbackUrl: string;
  /** The https URL that people see after they sign out. */
  readonly signedOutUrl: string;
  /** Whether the user pool outlives the stack. */
  readonly retain: boolean;
  /** Whether a function will add people's names to the access tokens. */
  readonly hasNames: boolean;
}

/** The user pool of a stack without an external issuer. Administrators invite people, and no one can sign up. */
export class UserPool extends Construct implements SignIn {
  readonly issuer: string;
  readonly audience: string[];
  readonly groupsClaim = 'cognito:groups';
  readonly adminGroup = 'administrators';
  readonly consoleClientId: string;
  readonly userPoolId: string;
  readonly userPoolArn: string;
  /** The domain of the sign-in pages and the token endpoint. */
  readonly consoleOrigins: string[];
  /** The commands that create the first administrator, in the order in which to run them. */
  readonly firstAdministrator: readonly string[];
  readonly #pool: cognito.UserPool;

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
      // The Lite plan can't change access tokens. New user pools have the Essentials plan by default.
      ...(props.hasNames && { featurePlan: cognito.FeaturePlan.ESSENTIALS }),
      // Does not use RETAIN_ON_UPDATE_OR_DELETE. After a failed creation, CloudFormation would then try to delete this
      // resource, and deletion protection would make the rollback end in ROLLBACK_FAILED.
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
    // The prefix must be unique among all accounts in the Region.
    const domain = pool.addDomain('Domain', {
      cognitoDomain: { domainPrefix: `deployment-keys-${stackSuffix()}` },
    });
    const client = pool.addClient('Console', {
      // Use a public client with PKCE, because a web page cannot keep a secret.
      generateSecret: false,
      preventUserExistenceErrors: true,
      accessTokenValidity: Duration.hours(1),
      // Allow holders of AWS credentials to get a token on the command line without a browser.
      authFlows: { adminUserPassword: true },
      supportedIdentityProviders: [cognito.UserPoolClientIdentityProvider.COGNITO],
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL, cognito.OAuthScope.PROFILE],
        // The command line also signs people in, using PKCE and a server on their machine.
        callbackUrls: [props.callbackUrl, COMMAND_LINE_CALLBACK],
        logoutUrls: [props.signedOutUrl],
      },
    });

    this.#pool = pool;
    this.userPoolId = pool.userPoolId;
    this.userPoolArn = pool.userPoolArn;
    this.issuer = pool.userPoolProviderUrl;
    this.consoleClientId = client.userPoolClientId;
    this.consoleOrigins = [domain.baseUrl()];
    // Cognito's access tokens have no `aud` claim. API Gateway compares `client_id` instead.
    this.audience = [client.userPoolClientId];

    const who = `--region ${Aws.REGION} --user-pool-id ${pool.userPoolId} --username you@example.com`;
    this.firstAdministrator = [
      `aws cognito-idp admin-create-user ${who} --user-attributes Name=email,Value=you@example.com Name=email_verified,Value=true`,
      `aws cognito-idp admin-add-user-to-group ${who} --group-name ${this.adminGroup}`,
    ];
  }

  /** Has Cognito invoke a function before it issues an access token, so that the function can add claims. */
  addNames(addName: IFunction): void {
    const { PRE_TOKEN_GENERATION_CONFIG } = cognito.UserPoolOperation;
    this.#pool.addTrigger(PRE_TOKEN_GENERATION_CONFIG, addName, cognito.LambdaVersion.V2_0);
  }
}
