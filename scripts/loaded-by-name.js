// The packages that stay out of the bundles, because only some configurations, pages or commands need them.
export const loadedByName = ['consul', 're2js', 'prom-client', '@grpc/grpc-js', '@grpc/proto-loader']
