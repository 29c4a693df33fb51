import { call, serve } from './service.mjs'

serve(async request => ({ order: await call('orders', '/orders/42', request) }))
