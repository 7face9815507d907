// The calls of Android that generated Kotlin makes, declared from its documentation: enough to compile, not to run.
package android.content

open class Context { val assets: android.content.res.AssetManager get() = TODO() }
