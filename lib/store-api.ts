import { CfnOutput, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  type CfnStage,
  CorsHttpMethod,
  DomainName,
  HttpApi,
  HttpMethod,
  HttpNoneAuthorizer,
  HttpStage,
  LogGroupLogDestination,
  type MTLSConfig,
  SecurityPolicy,
  type ThrottleSettings,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { Grant, type IGrantable } from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type HttpFunction, type RouteAuthorization, routes } from '../functions/config/routes.ts';
import { tokenLogGroup } from './log-group.ts';
import { isServed, StoreFunction, type StoreFunctionOptions } from './store-function.ts';

export interface ApiDomain {
  /** Such as `tokens.example.com`; its DNS record is the caller's: it leads to `domainName.regionalDomainName`. */
  readonly name: string;
  readonly certificate: ICertificate;
  /**
   * The certificates that clients must show (mutual TLS). API Gateway checks them and hands them to the functions, which
   * bind tokens to them (RFC 8705).
   */
  readonly mutualTls?: MTLSConfig;
}

export interface StoreApiProps extends StoreFunctionOptions {
  /** Default: the address that API Gateway gives, without mutual TLS. With a domain, that address is closed. */
  readonly domain?: ApiDomain;
  /**
   * Requests per second and at a time that all callers together may send to each route, by how the route is protected.
   * Default: {@link throttling}.
   */
  readonly throttling?: Partial<Record<RouteAuthorization, Required<ThrottleSettings>>>;
  /** Origins whose pages may call `/revoke` and `/tokeninfo`. Default: none. */
  readonly allowedOrigins?: readonly string[];
}

/**
 * What a route takes unless told otherwise, so that neither can starve the account's other APIs (10,000 a second together)
 * nor an open route the store. Whoever asks `/tokeninfo` shows nothing but a token; an authorization server proves who it is
 * before a function runs.
 */
const throttling = {
  iam: { rateLimit: 1000, burstLimit: 2000 },
  client: { rateLimit: 500, burstLimit: 1000 },
  none: { rateLimit: 50, burstLimit: 100 },
} as const satisfies Record<RouteAuthorization, Required<ThrottleSettings>>;

/**
 * The HTTP API: store functions behind AWS Signature Version 4, for an authorization server in any language, and the
 * standard endpoints, whose functions authenticate clients themselves. A route is there if the configuration has the stores
 * that it is for.
 */
export class StoreApi extends Construct {
  readonly api: HttpApi;
  readonly stage: HttpStage;
  readonly accessLogs: LogGroup;
  /** By the name of their handler. */
  readonly functions: ReadonlyMap<HttpFunction, StoreFunction>;
  readonly domainName?: DomainName;
  /** Without a slash at its end. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: StoreApiProps) {
    super(scope, id);
    const { domain, allowedOrigins, throttling: limits, ...options } = props;
    const { configuration } = options.stores;
    this.api = new HttpApi(this, 'Api', {
      description: 'OAuth token stores',
      createDefaultStage: false,
      disableExecuteApiEndpoint: domain !== undefined,
      ...(allowedOrigins && {
        corsPreflight: {
          allowOrigins: [...allowedOrigins],
          allowMethods: [CorsHttpMethod.GET, CorsHttpMethod.POST],
          allowHeaders: ['content-type'],
        },
      }),
    });
    const served = routes.filter(({ handler }) => isServed(handler, configuration));
    this.functions = new Map(
      [...new Set(served.map(({ handler }) => handler))].map((handlerName) => [
        handlerName,
        new StoreFunction(this, idOf(handlerName), {
          ...options,
          handlerName,
          description: served
            .filter(({ handler }) => handler === handlerName)
            .map(({ method, path }) => `${method} ${path}`)
            .join(', '),
        }),
      ]),
    );
    const added = served.flatMap(({ method, path, handler, authorization }) => {
      const fn = this.functions.get(handler);
      return fn
        ? this.api.addRoutes({
            path,
            methods: [HttpMethod[method]],
            integration: new HttpLambdaIntegration(`${idOf(handler)}Integration`, fn),
            authorizer: authorization === 'iam' ? new HttpIamAuthorizer() : new HttpNoneAuthorizer(),
          })
        : [];
    });

    if (domain) {
      this.domainName = new DomainName(this, 'Domain', {
        domainName: domain.name,
        certificate: domain.certificate,
        securityPolicy: SecurityPolicy.TLS_1_2,
        ...(domain.mutualTls && { mtls: domain.mutualTls }),
      });
    }
    const limitOf = (authorization: RouteAuthorization) => limits?.[authorization] ?? throttling[authorization];
    this.accessLogs = tokenLogGroup(this, 'AccessLogs', configuration.issuing, options.logs);
    this.stage = new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      detailedMetricsEnabled: true,
      throttle: limitOf('iam'),
      accessLogSettings: {
        destination: new LogGroupLogDestination(this.accessLogs),
        format: accessLogFormat,
      },
      ...(this.domainName && { domainMapping: { domainName: this.domainName } }),
    });
    // A stage that names a route must come after it.
    this.stage.node.addDependency(...added);
    (this.stage.node.defaultChild as CfnStage).routeSettings = Object.fromEntries(
      served.map(({ method, path, authorization }) => {
        const { rateLimit, burstLimit } = limitOf(authorization);
        const limit = { ThrottlingRateLimit: rateLimit, ThrottlingBurstLimit: burstLimit };
        return [`${method} ${path}`, { ...limit, DetailedMetricsEnabled: true }];
      }),
    );
    this.url = domain ? `https://${domain.name}` : this.api.apiEndpoint;
    new CfnOutput(this, 'Url', { value: this.url });
    Validations.of(this.api).acknowledge({
      id: 'AwsSolutions-APIG4',
      reason:
        'The standard endpoints authenticate clients in their functions, as their RFCs say; every other route demands IAM.',
    });
  }

  /**
   * Permits calling the routes of `/store` behind these functions, all of them by default, to an authorization server: its
   * role signs requests to `execute-api`.
   */
  grantInvoke(grantee: IGrantable, handlers?: readonly HttpFunction[]): Grant {
    const permitted = routes.filter(
      ({ handler, authorization }) =>
        authorization === 'iam' && (handlers?.includes(handler) ?? this.functions.has(handler)),
    );
    return Grant.addToPrincipal({
      grantee,
      actions: ['execute-api:Invoke'],
      resourceArns: permitted.map(({ method, path }) =>
        this.api.arnForExecuteApi(method, path.replaceAll(/\{\w+\}/g, '*'), this.stage.stageName),
      ),
    });
  }
}

/** `IssueTokens` of `issue-tokens`: for logical ids. */
const idOf = (name: string) => name.replaceAll(/(^|-)(\w)/g, (_match, _dash, letter: string) => letter.toUpperCase());

/**
 * Who asked for what, and what became of it. No path, query, header or body: they may hold tokens. Variables:
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
 */
const accessLogFormat = AccessLogFormat.custom(
  JSON.stringify({
    requestId: '$context.requestId',
    time: '$context.requestTimeEpoch',
    route: '$context.routeKey',
    status: '$context.status',
    sourceIp: '$context.identity.sourceIp',
    caller: '$context.identity.userArn',
    clientCertificate: '$context.identity.clientCert.serialNumber',
    responseBytes: '$context.responseLength',
    latencyMs: '$context.responseLatency',
    integrationLatencyMs: '$context.integrationLatency',
    integrationStatus: '$context.integration.integrationStatus',
    error: '$context.error.responseType',
  }),
);
