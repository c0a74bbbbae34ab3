import { readFileSync } from 'node:fs';
import { Annotations, Duration } from 'aws-cdk-lib';
import {
  CfnGatewayResponse,
  GatewayResponse,
  type GatewayResponseOptions,
  type IAuthorizer,
  type IRestApi,
  RequestAuthorizer,
  ResponseType,
  type RestApiBase,
  TokenAuthorizer,
} from 'aws-cdk-lib/aws-apigateway';
import type { HttpApi, IHttpApi, IHttpRouteAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaAuthorizer, HttpLambdaResponseType } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { type IFunction, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { type AuthorizerKind, challengeOf, resultCaching, shortcomings } from '../functions/config/authorizer.ts';
import {
  type Configuration,
  type ConfigurationInput,
  parseConfiguration,
  readConfiguration,
} from '../functions/config/configuration.ts';
import { parameterName } from '../functions/config/parameters.ts';
import { StoreFunction, type StoreFunctionOptions } from './store-function.ts';

/** The section `authorizer` of oauth-stores.json. */
export type AuthorizerSettings = NonNullable<ConfigurationInput['authorizer']>;

/** An authorizer function, and how API Gateway is told of it. */
export abstract class ApiAuthorizer extends Construct {
  abstract readonly function: IFunction;
  protected abstract readonly settings: Configuration['authorizer'];
  readonly #ofHttpApi = new WeakMap<HttpApi | IHttpApi, IHttpRouteAuthorizer>();

  /** For routes of an HTTP API. Its answer to a refusal is 401 or 403 without a challenge: it can set no header. */
  forHttpApi(api: HttpApi | IHttpApi): IHttpRouteAuthorizer {
    const known = this.#ofHttpApi.get(api);
    if (known) return known;
    const { identitySources, ttlSeconds } = this.caching('http');
    const authorizer = new HttpLambdaAuthorizer(this.node.id, this.function, {
      identitySource: [...identitySources],
      resultsCacheTtl: Duration.seconds(ttlSeconds),
      responseTypes: [HttpLambdaResponseType.SIMPLE],
    });
    this.#ofHttpApi.set(api, authorizer);
    return authorizer;
  }

  /**
   * For methods of a REST API. `REQUEST` sees all of a request; `TOKEN` only its Authorization header, so it refuses every
   * token that is bound to a key. The first call has the API answer refusals as RFC 6750 §3 says, see
   * {@link addGatewayResponses}.
   */
  forRestApi(api: RestApiBase | IRestApi, type: 'REQUEST' | 'TOKEN' = 'REQUEST'): IAuthorizer {
    this.addGatewayResponses(api);
    const id = `${this.node.id}${type === 'TOKEN' ? 'Token' : 'Request'}`;
    const known = api.node.tryFindChild(id);
    if (known instanceof RequestAuthorizer || known instanceof TokenAuthorizer) return known;
    const { identitySources, ttlSeconds } = this.caching(type === 'TOKEN' ? 'rest-token' : 'rest-request');
    const options = { handler: this.function, resultsCacheTtl: Duration.seconds(ttlSeconds) };
    return type === 'TOKEN'
      ? new TokenAuthorizer(api, id, { ...options, identitySource: identitySources.join() })
      : new RequestAuthorizer(api, id, { ...options, identitySources: [...identitySources] });
  }

  /**
   * What a REST API answers to who is not let in. An error, which is how an authorizer says 401, takes no context along, so
   * the challenge of a 401 is the same for all; that of a 403 names what is missing. An outage of the store is a 500: nobody
   * is told to drop a token that may be good. What the API answers already to one of these stays as it is.
   */
  addGatewayResponses(api: RestApiBase | IRestApi): void {
    const said = (name: string) => `context.authorizer.${name}`;
    const outage = body('server_error', 'whether the access token is good is not known');
    const responses = {
      Unauthorized: {
        type: ResponseType.UNAUTHORIZED,
        responseHeaders: { 'WWW-Authenticate': `'${challengeOf(this.settings)}'` },
        templates: body('invalid_token', 'a good access token is needed'),
      },
      AccessDenied: {
        type: ResponseType.ACCESS_DENIED,
        responseHeaders: {
          'WWW-Authenticate': said('www_authenticate'),
          ...(this.settings.dpop?.nonceSeconds !== undefined && { 'DPoP-Nonce': said('dpop_nonce') }),
        },
        templates: body(`$${said('error')}`, `$${said('error_description')}`),
      },
      AuthorizerFailure: { type: ResponseType.AUTHORIZER_FAILURE, responseHeaders: {}, templates: outage },
      AuthorizerNotReached: {
        type: ResponseType.AUTHORIZER_CONFIGURATION_ERROR,
        responseHeaders: {},
        templates: outage,
      },
    } satisfies Record<string, GatewayResponseOptions>;
    const present = api.node.findAll().flatMap((each) => (each instanceof CfnGatewayResponse ? each.responseType : []));
    for (const [id, { responseHeaders, ...response }] of Object.entries(responses)) {
      if (present.includes(response.type.responseType)) continue;
      new GatewayResponse(api, id, {
        ...response,
        restApi: api as IRestApi,
        responseHeaders: { ...responseHeaders, 'Cache-Control': "'no-store'" },
      });
    }
  }

  private caching(kind: AuthorizerKind) {
    for (const [index, text] of shortcomings(this.settings, kind).entries()) {
      Annotations.of(this).addWarningV2(`oauth2-stores:${kind}:${index}`, text);
    }
    return resultCaching(this.settings, kind);
  }
}

/** Plain substitution fills in variables; none of these texts has a quote. */
const body = (error: string, description: string) => ({
  'application/json': JSON.stringify({ error, error_description: description }),
});

export interface OAuthAuthorizerProps extends StoreFunctionOptions {
  /**
   * Settings of this authorizer that differ from the section `authorizer` of the configuration, such as the `scopes` that
   * the routes of its API demand.
   */
  readonly settings?: AuthorizerSettings;
}

/**
 * Whether a request to an API carries a good token for its route: one function, for routes of HTTP APIs and methods of REST
 * APIs. API Gateway keeps no answer, unless `resultCacheSeconds` says for how long a revoked token may still be let in; what
 * it keeps, it keeps apart by token and route.
 *
 * @throws {ConfigurationError} `settings` is at fault
 */
export class OAuthAuthorizer extends ApiAuthorizer {
  override readonly function: StoreFunction;
  protected override readonly settings: Configuration['authorizer'];

  constructor(scope: Construct, id: string, { settings, ...options }: OAuthAuthorizerProps) {
    super(scope, id);
    const text = settings ? withSettings(options.stores.configurationText, settings) : options.stores.configurationText;
    const { configuration, warnings } = readConfiguration(text);
    this.settings = configuration.authorizer;
    this.function = new StoreFunction(this, 'Function', {
      ...options,
      handlerName: 'authorizer',
      configurationText: text,
      description: 'Whether API Gateway lets a request through',
    });
    for (const warning of settings ? warnings : []) {
      if (!warning.path.startsWith('authorizer')) continue;
      Annotations.of(this).addWarningV2(`oauth2-stores:${warning.path}`, `${warning.path}: ${warning.text}`);
    }
  }

  /** The authorizer that another stack has published under this name ({@link publish}), for the APIs of this stack. */
  static fromName(scope: Construct, id: string, { name, configuration }: PublishedAuthorizer): ApiAuthorizer {
    const checked =
      typeof configuration === 'string'
        ? readConfiguration(readFileSync(configuration, 'utf8'))
        : parseConfiguration(configuration);
    return new ImportedAuthorizer(scope, id, name, checked.configuration.authorizer);
  }

  /** Lets other stacks find this authorizer by the name of the deployment. */
  publish(name: string): void {
    new StringParameter(this, 'Published', {
      parameterName: parameterOf(name),
      stringValue: this.function.functionArn,
      description: 'ARN of the function that authorizes requests to APIs',
    });
  }
}

export interface PublishedAuthorizer {
  /** The deployment’s name. */
  readonly name: string;
  /** The configuration that the authorizer was deployed with: the path of oauth-stores.json, or what stands in it. */
  readonly configuration: string | ConfigurationInput;
}

class ImportedAuthorizer extends ApiAuthorizer {
  override readonly function: IFunction;
  protected override readonly settings: Configuration['authorizer'];

  constructor(scope: Construct, id: string, name: string, settings: Configuration['authorizer']) {
    super(scope, id);
    this.settings = settings;
    this.function = LambdaFunction.fromFunctionAttributes(this, 'Function', {
      functionArn: StringParameter.valueForStringParameter(this, parameterOf(name)),
      sameEnvironment: true,
    });
  }
}

const parameterOf = (name: string) => parameterName(name, 'authorizer', 'function-arn');

function withSettings(configurationText: string, settings: AuthorizerSettings): string {
  const configuration = JSON.parse(configurationText);
  return JSON.stringify({ ...configuration, authorizer: { ...configuration.authorizer, ...settings } }, null, 2);
}
