import { serve } from './service.mjs'

serve(() => ({ left: 17 }))
