import type { APIGatewayProxyEventV2WithLambdaAuthorizer } from 'aws-lambda';

/** The protected API: who calls it, and with what, it learns from the authorizer's context; it never looks at the token. */
export const handler = async ({
  requestContext,
}: APIGatewayProxyEventV2WithLambdaAuthorizer<Record<string, string>>) => ({
  orders: [{ id: 1, item: 'tea' }],
  authorizer: requestContext.authorizer.lambda,
});
