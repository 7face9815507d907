package android.content.res

import java.io.InputStream

class AssetManager { fun open(fileName: String): InputStream = TODO() }
